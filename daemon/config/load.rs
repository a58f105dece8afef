//! Reading the files, in their order.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cross;
use super::problem::{Invalid, Place, Problem};
use super::section::{Origins, Reader, Section, Value};
use super::settings::{Config, EarlierSources, FileDirectives};
use super::source::Source;

/// Largest file read, octets: a thousand times what a configuration needs.
const MAX_FILE: u64 = 1 << 20;

/// A valid configuration, and what it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files read, in order; later ones count more.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// Reads `main`, then `conf.d/*.toml` beside it, then `sources.d/*.toml` beside the control
    /// socket, which may contain only sources; in a directory by name. Where `sources.d` exists
    /// there need not be any source yet.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn load(main: &Path) -> Result<Loaded, Invalid> {
        let mut loader = Loader::default();
        loader.read_main(main);
        let beside = main.parent().unwrap_or(Path::new("")).join("conf.d");
        for file in loader.list(&beside) {
            loader.read_file(&file, Contents::Anything);
        }
        let socket = loader.config.control.socket.clone();
        let run_time = socket.parent().unwrap_or(Path::new("/")).join("sources.d");
        loader.expects_sources = run_time.is_dir();
        for file in loader.list(&run_time) {
            loader.read_file(&file, Contents::Sources);
        }
        loader.finish()
    }

    /// Reads `text` alone, which errors call `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_text(name: &Path, text: &str) -> Result<Self, Invalid> {
        let mut loader = Loader::default();
        loader.files.push(name.to_owned());
        loader.read_text(name, text, Contents::Anything);
        loader.finish().map(|loaded| loaded.config)
    }
}

/// What a file may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Every key.
    Anything,
    /// `[[source]]` only.
    Sources,
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Loader {
    config: Config,
    files: Vec<PathBuf>,
    origins: Origins,
    problems: Vec<Problem>,
    /// Full names of keys that have been given a value that is wrong.
    bad: Vec<String>,
    /// Is there a directory in which sources may appear later?
    expects_sources: bool,
}

impl Loader {
    fn read_main(&mut self, file: &Path) {
        let before = self.problems.len();
        self.read_file(file, Contents::Anything);
        if let Some(problem) = self.problems.get_mut(before)
            && problem.place.is_none()
        {
            problem
                .help
                .push("another file can be given with -c FILE".to_owned());
        }
    }

    fn read_file(&mut self, file: &Path, contents: Contents) {
        self.files.push(file.to_owned());
        match read_bounded(file) {
            Ok(text) => self.read_text(file, &text, contents),
            Err(why) => self.problems.push(Problem::of_file(file, why)),
        }
    }

    fn read_text(&mut self, file: &Path, text: &str, contents: Contents) {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            self.problems.push(syntax_problem(file, text, error));
        }
        // What a parser makes of text that is not TOML would be reported wrongly.
        if !errors.is_empty() {
            self.bad.push(String::new());
            return;
        }
        let table = table.get_ref();
        if contents == Contents::Anything && earlier_sources(table) == EarlierSources::Replace {
            self.config.sources.clear();
        }
        let mut reader = Reader::new(file, text, &mut self.origins);
        match contents {
            Contents::Anything => {
                let mut directives = FileDirectives::default();
                reader.entries(table, &mut [&mut self.config, &mut directives]);
            }
            Contents::Sources => {
                reader.entries(table, &mut [&mut SourcesOnly(&mut self.config.sources)]);
            }
        }
        let (problems, bad) = reader.finish();
        self.problems.extend(problems);
        self.bad.extend(bad);
    }

    /// The `*.toml` files of a directory in the order of their names. A directory that does not
    /// exist has none.
    fn list(&mut self, directory: &Path) -> Vec<PathBuf> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let why = format!("the directory cannot be read: {error}");
                self.problems.push(Problem::of_file(directory, why));
                return Vec::new();
            }
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .filter(|path| {
                !path
                    .file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            })
            .collect();
        files.sort();
        files
    }

    fn finish(mut self) -> Result<Loaded, Invalid> {
        let complete = self.problems.is_empty();
        let found = cross::check(&self.config, &self.origins, &self.bad);
        self.problems.extend(found);
        if complete
            && self.problems.is_empty()
            && !self.expects_sources
            && let Some(main) = self.files.first()
        {
            self.problems
                .extend(cross::check_purpose(&self.config, main, &self.origins));
        }
        if self.problems.is_empty() {
            return Ok(Loaded {
                config: self.config,
                files: self.files,
            });
        }
        let files = &self.files;
        self.problems.sort_by_key(|problem| {
            let file = files.iter().position(|file| *file == problem.file);
            let place = problem
                .place
                .as_ref()
                .map(|place| (place.line, place.column));
            (file.unwrap_or(files.len()), place)
        });
        Err(Invalid {
            problems: self.problems,
        })
    }
}

/// A file that may contain only sources.
struct SourcesOnly<'c>(&'c mut Vec<Source>);

impl Section for SourcesOnly<'_> {
    fn names(&self) -> &'static [&'static str] {
        &["source"]
    }

    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> bool {
        if key == "source" {
            reader.within(key, |reader| self.0.apply(value, reader));
        }
        key == "source"
    }
}

/// What the file says about the sources of earlier files. It must be known before its sources
/// are read; where it is wrong, the reader reports it.
fn earlier_sources(table: &DeTable<'_>) -> EarlierSources {
    let mut directives = FileDirectives::default();
    let mut origins = Origins::new();
    if let Some(value) = table.get("sources") {
        let mut unheard = Reader::new(Path::new(""), "", &mut origins);
        directives.set("sources", value, &mut unheard);
    }
    directives.sources
}

/// A file's text, or why there is none.
fn read_bounded(file: &Path) -> Result<String, String> {
    let mut octets = Vec::new();
    File::open(file)
        .and_then(|open| open.take(MAX_FILE + 1).read_to_end(&mut octets))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if octets.len() as u64 > MAX_FILE {
        return Err(format!(
            "is longer than {MAX_FILE} octets; this is no configuration"
        ));
    }
    String::from_utf8(octets).map_err(|error| {
        let line = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        let line = line.filter(|octet| **octet == b'\n').count() + 1;
        format!("is not UTF-8 text: see line {line}")
    })
}

/// What the TOML parser found.
fn syntax_problem(file: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    Problem {
        file: file.to_owned(),
        place: Some(Place::find(text, &span)),
        message: format!(
            "not valid TOML: {}",
            error.message().trim().replace('\n', "; ")
        ),
        help: Vec::new(),
    }
}

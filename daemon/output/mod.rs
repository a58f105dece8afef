//! What people read: aligned columns, SI units, colour only on a terminal.

mod auth;
mod date;
mod probe;
#[cfg(test)]
pub(crate) mod samples;
mod screen;
mod serving;
pub mod si;
mod sources;
mod status;
mod style;
mod table;
mod text;
mod timestamps;

pub use auth::auth_lines;
pub use date::date;
pub use probe::probe_lines;
pub use screen::{Screen, after_writing, complain, print};
pub use serving::server_lines;
pub use sources::source_lines;
pub use status::status_lines;
pub use style::{Paint, Style};
pub use table::{Align, Cell, Table};
pub use text::{printable, wrapped};
pub use timestamps::timestamp_lines;

//! A picture of a scenario's course, as SVG.
//!
//! Above: the true error, with its sign, as large as it is after settling; the bound where it is
//! that small. Below: magnitudes of error and bound, and of what chrony's root distance would be,
//! on a logarithmic scale. Dashed lines are the scenario's events, triangles changes of the
//! selection. Colours do on a light and on a dark page; text follows the page's preference.

use core::fmt::Write as _;

use crate::axis::{Axis, time_ticks};
use crate::report::Report;
use crate::series::{Series, SeriesPart};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 948.0;
/// Top and bottom of the two panels.
const UPPER: (f64, f64) = (54.0, 290.0);
const LOWER: (f64, f64) = (316.0, 500.0);
/// Events that are labelled; all have a line, and say what they are when pointed at.
const MOST_LABELS: usize = 8;
/// Events that have a line.
const MOST_EVENTS: usize = 100;

const STYLE: &str = "\
svg{color:#333;font:12px system-ui,sans-serif}\
text{fill:currentColor}\
.axis{stroke:currentColor;stroke-opacity:.25;fill:none}\
.event{stroke:currentColor;stroke-opacity:.55;stroke-dasharray:3 3}\
.error{stroke:#2a7fbf;fill:#2a7fbf;stroke-width:.8}\
.bound{stroke:#cc6a1e;fill:none;stroke-width:1.2}\
.chrony{stroke:#8a8a8a;fill:none;stroke-width:1.2}\
.selected{fill:#4b9a55}\
@media(prefers-color-scheme:dark){svg{color:#ccc}}";

/// Draws it.
pub fn plot(report: &Report, series: &Series, settle_s: f64) -> String {
    let mut svg = String::with_capacity(120_000);
    let _infallible = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n\
         <clipPath id=\"u\"><rect x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{name} (seed {})</text>",
        UPPER.0,
        RIGHT - LEFT,
        UPPER.1 - UPPER.0,
        report.seed,
        name = escaped(&report.name),
    );
    let picture = Picture {
        duration_s: report.duration_s,
        parts: &series.parts,
    };
    picture.times(&mut svg);
    picture.events(&mut svg, report);
    picture.upper(&mut svg, settle_s);
    picture.selections(&mut svg, series);
    picture.lower(&mut svg);
    legend(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// What the panels have in common.
struct Picture<'a> {
    duration_s: f64,
    parts: &'a [SeriesPart],
}

impl Picture<'_> {
    fn x(&self, at_s: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * at_s / self.duration_s
    }

    fn times(&self, svg: &mut String) {
        let (ticks, unit) = time_ticks(self.duration_s);
        for (at_s, label) in ticks {
            let x = self.x(at_s);
            for (top, bottom) in [UPPER, LOWER] {
                line(svg, "axis", (x, top), (x, bottom));
            }
            text(svg, (x, LOWER.1 + 16.0), "middle", &label);
        }
        text(
            svg,
            (RIGHT, LOWER.1 + 34.0),
            "end",
            &format!("time, {unit}"),
        );
    }

    fn events(&self, svg: &mut String, report: &Report) {
        let mut free_from = LEFT;
        let mut labels = 0;
        for event in report.events.iter().take(MOST_EVENTS) {
            let x = self.x(event.at_s);
            let _infallible = write!(
                svg,
                "<g><title>{} at {} s</title>",
                escaped(&event.what),
                event.at_s
            );
            line(svg, "event", (x, UPPER.0 - 6.0), (x, LOWER.1));
            svg.push_str("</g>\n");
            // Labels are for the first few events that have room for one.
            let length = 6.2 * event.what.len() as f64;
            if x >= free_from && labels < MOST_LABELS && x + length < RIGHT {
                text(svg, (x + 2.0, UPPER.0 - 8.0), "start", &event.what);
                free_from = x + length + 8.0;
                labels += 1;
            }
        }
    }

    fn upper(&self, svg: &mut String, settle_s: f64) {
        let settled = self.parts.iter().filter(|part| part.at_s >= settle_s);
        let largest = |part: &SeriesPart| part.error_max_s.abs().max(part.error_min_s.abs());
        let most_s = settled.map(largest).fold(0.0, f64::max);
        let axis = Axis::symmetric(most_s.max(1e-12), UPPER);
        draw_axis(svg, &axis, "true error");
        svg.push_str("<g clip-path=\"url(#u)\">\n");
        for sign in [1.0, -1.0] {
            let bound = |part: &SeriesPart| Some(axis.y(sign * part.bound_min_s?));
            self.curve(svg, "bound", bound);
        }
        self.band(svg, |part| {
            (axis.y(part.error_max_s), axis.y(part.error_min_s))
        });
        svg.push_str("</g>\n");
    }

    fn lower(&self, svg: &mut String) {
        let positive = |value: f64| (value > 0.0).then_some(value);
        let magnitude = |part: &SeriesPart| part.error_max_s.abs().max(part.error_min_s.abs());
        let all = self.parts.iter().flat_map(|part| {
            let others = [part.bound_max_s, part.root_distance_min_s];
            others.into_iter().flatten().chain([magnitude(part)])
        });
        let shown = all.filter_map(positive).filter(|value| value.is_finite());
        let (least, most) = shown.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let axis = Axis::logarithmic((least, most), LOWER);
        draw_axis(svg, &axis, "magnitudes");
        self.curve(svg, "chrony", |part| {
            Some(axis.y(positive(part.root_distance_min_s?)?))
        });
        self.curve(svg, "bound", |part| {
            Some(axis.y(positive(part.bound_min_s?)?))
        });
        self.band(svg, |part| (axis.y(magnitude(part).max(least)), LOWER.1));
    }

    fn selections(&self, svg: &mut String, series: &Series) {
        for selection in &series.selections {
            let (x, y) = (self.x(selection.at_s), UPPER.1);
            let what = match selection.source {
                Some(number) => format!("source {number} selected"),
                None => "no source selected".to_owned(),
            };
            let _infallible = writeln!(
                svg,
                "<path class=\"selected\" d=\"M{x:.1} {:.1}l4 8h-8z\"><title>{what} at {:.1} s</title></path>",
                y + 1.0,
                selection.at_s,
            );
        }
    }

    /// A line through what is there; it breaks where nothing is.
    fn curve(&self, svg: &mut String, class: &str, y: impl Fn(&SeriesPart) -> Option<f64>) {
        let mut path = String::new();
        let mut pen = 'M';
        for part in self.parts {
            match y(part) {
                Some(y) => {
                    let _infallible = write!(path, "{pen}{:.1} {y:.1}", self.x(part.at_s));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        let _infallible = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    /// A filled band between two lines.
    fn band(&self, svg: &mut String, ys: impl Fn(&SeriesPart) -> (f64, f64)) {
        let mut path = String::new();
        let mut pen = 'M';
        for part in self.parts {
            let _infallible = write!(path, "{pen}{:.1} {:.1}", self.x(part.at_s), ys(part).0);
            pen = 'L';
        }
        for part in self.parts.iter().rev() {
            let _infallible = write!(path, "L{:.1} {:.1}", self.x(part.at_s), ys(part).1);
        }
        let _infallible = writeln!(
            svg,
            "<path class=\"error\" fill-opacity=\".6\" d=\"{path}z\"/>"
        );
    }
}

fn draw_axis(svg: &mut String, axis: &Axis, what: &str) {
    let (top, bottom) = axis.span();
    for (y, label) in axis.ticks() {
        line(svg, "axis", (LEFT, y), (RIGHT, y));
        text(svg, (LEFT - 6.0, y + 4.0), "end", &label);
    }
    let middle = f64::midpoint(top, bottom);
    let _infallible = writeln!(
        svg,
        "<text x=\"14\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle})\">{what}</text>",
    );
}

fn legend(svg: &mut String) {
    let y = HEIGHT - 14.0;
    let entries = [
        ("error", "true error"),
        ("bound", "bound that the clock states"),
        ("chrony", "chrony's root distance from the same samples"),
    ];
    let mut x = LEFT;
    for (class, label) in entries {
        line(svg, class, (x, y - 4.0), (x + 22.0, y - 4.0));
        text(svg, (x + 28.0, y), "start", label);
        x += 52.0 + 6.4 * label.len() as f64;
    }
    let _infallible = writeln!(
        svg,
        "<path class=\"selected\" d=\"M{x:.1} {:.1}l4 8h-8z\"/>",
        y - 8.0
    );
    text(svg, (x + 10.0, y), "start", "another source selected");
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _infallible = writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, what: &str) {
    let _infallible = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escaped(what)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OscillatorScenario, Scenario, SourceScenario, run_with_series};

    fn drawn(duration_s: f64) -> String {
        let scenario = Scenario {
            name: "a < b & c".to_owned(),
            duration_s,
            settle_s: 100.0,
            oscillator: OscillatorScenario {
                step_at_s: Some(500.0),
                step_ppm: 1.0,
                ..OscillatorScenario::default()
            },
            source: vec![SourceScenario::default()],
            ..Scenario::default()
        };
        let (report, series) = run_with_series(&scenario, 1000);
        plot(&report, &series, scenario.settle_s)
    }

    #[test]
    fn a_picture_is_whole_and_small() {
        let svg = drawn(2000.0);
        assert!(svg.len() < 150_000, "{}", svg.len());
        assert!(svg.contains("<title>a &lt; b &amp; c</title>"));
        assert!(svg.contains("frequency +1 ppm</text>"));
        assert!(svg.contains("time, min"));
        for (open, close) in [("<g", "</g>"), ("<text", "</text>"), ("<svg", "</svg>")] {
            assert_eq!(svg.matches(open).count(), svg.matches(close).count());
        }
        for broken in ["NaN", "inf"] {
            assert!(!svg.contains(broken), "{broken}");
        }
    }

    #[test]
    fn nothing_to_draw_is_drawn_too() {
        // The first probe is later than the end.
        let svg = drawn(0.05);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

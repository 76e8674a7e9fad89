//! Line charts as SVG: axes with units, ticks, grid, lines that differ in more than colour.
//!
//! Colours are classes of the page's style sheet, so that a chart follows light and dark; [`standalone`] puts that
//! style into the file.

mod axis;

use maud::{Markup, PreEscaped, html};

pub use axis::Axis;

/// One chart's size, in units that are pixels on a desk and somewhat less on a phone.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 280.0;

/// Room around the plotting area.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// Room for one line of the legend above standalone charts, and the names in it.
const LEGEND_LINE: f64 = 20.0;
const LEGEND_NAME: f64 = 220.0;

/// How a line is drawn: `accent` or `ink`, and its dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// In the one accent colour, else in ink.
    pub accent: bool,
    /// Solid, or one of the dashes.
    pub dash: Dash,
    /// A mark at every point.
    pub marks: Marks,
}

/// Dashes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    /// None.
    Solid,
    /// Long ones.
    Dashed,
    /// Dots.
    Dotted,
    /// Both in turn.
    Mixed,
}

/// Marks at the points of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// None: many points.
    None,
    /// Filled.
    Dots,
    /// Open, and large enough to be seen around a dot.
    Rings,
}

impl Look {
    /// A plain line.
    pub const fn line(accent: bool, dash: Dash) -> Self {
        Look { accent, dash, marks: Marks::None }
    }

    fn class(self) -> String {
        let dash = match self.dash {
            Dash::Solid => "",
            Dash::Dashed => " dashed",
            Dash::Dotted => " dotted",
            Dash::Mixed => " dashdot",
        };
        format!("line {}{dash}", if self.accent { "accent" } else { "ink" })
    }

    fn mark(self, x: f64, y: f64, what: &str) -> Markup {
        let (radius, class) = match self.marks {
            Marks::None => return html! {},
            Marks::Dots => (3.0, "dot"),
            Marks::Rings => (6.0, "ring"),
        };
        let class = format!("{class} {}", if self.accent { "accent" } else { "ink" });
        html! { circle class=(class) cx=(unit(x)) cy=(unit(y)) r=(radius) { @if !what.is_empty() { title { (what) } } } }
    }
}

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    pub look: Look,
    /// Its points; those that an axis cannot show are left out.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, above it.
    pub title: String,
    /// The same with its outcome, for those who do not see it.
    pub description: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines; later ones are drawn over earlier ones.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart as an element of a page.
    pub fn figure(&self) -> Markup {
        html! {
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.description) { (self.content()) }
        }
    }

    fn content(&self) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let middle = (TOP + bottom) / 2.0;
        html! {
            text.title x=(LEFT) y=(TOP - 14.0) { (self.title) }
            @for (at, label) in self.y.ticks() {
                @let y = unit(self.height(at));
                line.grid x1=(LEFT) x2=(right) y1=(y) y2=(y) {}
                text.tick x=(LEFT - 7.0) y=(y) dy="0.35em" text-anchor="end" { (label) }
            }
            @for (at, label) in self.x.ticks() {
                @let x = unit(self.across(at));
                line.grid x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
                text.tick x=(x) y=(bottom + 16.0) text-anchor="middle" { (label) }
            }
            line.axis x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
            text.label x=((LEFT + right) / 2.0) y=(HEIGHT - 8.0) text-anchor="middle" { (self.x.label()) }
            text.label transform=(format!("translate(13 {middle}) rotate(-90)")) text-anchor="middle" { (self.y.label()) }
            @for series in &self.series { (self.line(series)) }
        }
    }

    fn line(&self, series: &Series) -> Markup {
        let shown = |&(x, y): &(f64, f64)| Some((self.x.place(x)?, self.y.place(y)?));
        let places: Vec<((f64, f64), (f64, f64))> =
            series.points.iter().filter_map(|point| Some((*point, shown(point)?))).collect();
        let corner = |(_, (x, y)): &(_, (f64, f64))| format!("{} {}", unit(self.across(*x)), unit(self.height(*y)));
        let path: Vec<String> = places.iter().map(corner).collect();
        html! {
            g {
                title { (series.name) }
                @if path.len() > 1 { path class=(series.look.class()) d={ "M" (path.join("L")) } {} }
                @for ((x, y), (across, height)) in &places {
                    @let what = format!("{}: {}, {}", series.name, self.x.show(*x), self.y.show(*y));
                    (series.look.mark(self.across(*across), self.height(*height), &what))
                }
            }
        }
    }

    /// From shares of the axes to units of the drawing.
    fn across(&self, share: f64) -> f64 {
        LEFT + share * (WIDTH - RIGHT - LEFT)
    }

    fn height(&self, share: f64) -> f64 {
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }
}

/// What the lines of a page's charts stand for.
pub fn legend(series: &[Series]) -> Markup {
    html! {
        ul.legend {
            @for series in series {
                li {
                    svg.sample viewBox="0 0 36 12" aria-hidden="true" { (sample(series.look, 0.0, 6.0)) }
                    (series.name)
                }
            }
        }
    }
}

/// Charts two in a row below a legend, as an SVG file of its own.
pub fn standalone(charts: &[Chart]) -> String {
    let series = charts.first().map_or(&[][..], |chart| &chart.series);
    let names_a_line = (2.0 * WIDTH / LEGEND_NAME) as usize;
    let top = 12.0 + LEGEND_LINE * series.len().div_ceil(names_a_line) as f64;
    let (width, height) = (2.0 * WIDTH, top + HEIGHT * charts.len().div_ceil(2) as f64);
    let cell = |index: usize, columns: usize, width: f64, height: f64| {
        ((index % columns) as f64 * width, (index / columns) as f64 * height)
    };
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            style { (PreEscaped(include_str!("chart.css"))) }
            rect.paper width=(width) height=(height) {}
            @for (index, series) in series.iter().enumerate() {
                @let (x, y) = cell(index, names_a_line, LEGEND_NAME, LEGEND_LINE);
                g transform=(format!("translate({} {})", x + LEFT, y + 16.0)) {
                    (sample(series.look, 0.0, 0.0))
                    text.label x="44" dy="0.35em" { (series.name) }
                }
            }
            @for (index, chart) in charts.iter().enumerate() {
                @let (x, y) = cell(index, 2, WIDTH, HEIGHT);
                g transform=(format!("translate({} {})", x, y + top)) { (chart.content()) }
            }
        }
    };
    svg.into_string()
}

fn sample(look: Look, x: f64, y: f64) -> Markup {
    html! {
        path class=(look.class()) d=(format!("M{} {y}h36", x)) {}
        (look.mark(x + 18.0, y, ""))
    }
}

/// A tenth of a unit is finer than any screen.
fn unit(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let look = Look { accent: true, dash: Dash::Dashed, marks: Marks::Dots };
        let series = vec![Series { name: "a <b> & c".into(), look, points }];
        let (x, y) = (Axis::iterations(100), Axis::log("loss, nats", [1.15, 4.0].into_iter()));
        Chart { title: "Loss".into(), description: "it falls".into(), x, y, series }
    }

    #[test]
    fn the_corners_of_the_plot_are_the_ends_of_the_axes() {
        let text = chart(vec![(1.0, 1.0), (100.0, 4.6)]).figure().into_string();
        assert!(text.contains(r#"d="M72 236L428 30""#), "{text}");
        assert!(text.contains("a &lt;b&gt; &amp; c") && !text.contains("<b>"), "{text}");
        assert!(text.contains("loss, nats") && text.contains(r#"aria-label="it falls""#), "{text}");
    }

    #[test]
    fn points_that_an_axis_cannot_show_are_left_out() {
        let text = chart(vec![(0.0, 1.0), (1.0, f64::NAN), (10.0, 1.0)]).figure().into_string();
        assert_eq!(text.matches("<circle").count(), 1);
        assert!(!text.contains("NaN"), "{text}");
    }

    #[test]
    fn a_standalone_file_has_legend_style_and_every_chart() {
        let text = standalone(&[chart(vec![(1.0, 1.0)]), chart(vec![]), chart(vec![])]);
        assert!(text.starts_with("<svg xmlns=") && text.contains("<style>"), "{text}");
        assert!(text.contains(r#"viewBox="0 0 880 592""#), "{text}");
        assert_eq!(text.matches(">Loss<").count(), 3);
    }
}

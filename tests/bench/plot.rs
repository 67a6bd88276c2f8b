//! Plots as SVG: curves over a logarithmic axis, each a line of medians in a band from the least to the greatest.
//!
//! Pure: figures in, text out. The colours stand on a background of their own, so that a plot is as legible on a dark
//! page as on a light one, and the shapes of the markers tell the curves apart without colours.

#![forbid(unsafe_code)]

use std::fmt::Write;

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Bytes,
    Nanoseconds,
}

/// How far apart values lie on the vertical axis; the horizontal one is always logarithmic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    Logarithmic,
}

#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: f64,
    pub least: f64,
    pub median: f64,
    pub greatest: f64,
}

#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    /// From the left to the right.
    pub points: Vec<Point>,
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub title: String,
    /// The finding in words, for those who do not see it.
    pub description: String,
    pub x: (String, Unit),
    pub y: (String, Scale),
    pub curves: Vec<Curve>,
}

impl Unit {
    /// A value as a table says it.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Count => grouped(value),
            Self::Bytes => {
                let (divisor, unit) = of_units(
                    value,
                    &[(1.0, "B"), (KIB, "KiB"), (KIB * KIB, "MiB"), (KIB * KIB * KIB, "GiB")],
                );
                format!("{} {unit}", short(value / divisor))
            }
            Self::Nanoseconds => {
                let (divisor, unit) = of_units(value, &TIMES);
                format!("{} {unit}", short(value / divisor))
            }
        }
    }
}

const KIB: f64 = 1024.0;
const TIMES: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];

/// The largest unit that the value has one of.
fn of_units<'a>(value: f64, units: &[(f64, &'a str)]) -> (f64, &'a str) {
    units.iter().rev().find(|(size, _)| value >= *size).copied().unwrap_or(units[0])
}

/// Three digits that count, and no zeros behind them.
fn short(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

const WIDTH: f64 = 840.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 36.0;
const BOTTOM: f64 = 64.0;
/// The title, without the rows of the legend below it.
const TITLE: f64 = 52.0;
const LEGEND_ROW: f64 = 20.0;
/// Between the frame and the first and last point.
const PADDING: f64 = 20.0;
/// What a character of the smallest text takes, about.
const CHARACTER: f64 = 6.8;
const COLOURS: [&str; 3] = ["#1b64a5", "#b8480d", "#3f7a1f"];

/// Where values lie on the drawing.
struct Frame {
    top: f64,
    /// Logarithms of the least and greatest.
    x: (f64, f64),
    y: (f64, f64),
    scale: Scale,
}

impl Frame {
    fn of(plot: &Plot) -> Self {
        let points = || plot.curves.iter().flat_map(|curve| &curve.points);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN, f64::max);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
        let x = (
            least(&mut points().map(|point| point.x)).log10(),
            most(&mut points().map(|point| point.x)).log10(),
        );
        let (low, high) =
            (least(&mut points().map(|point| point.least)), most(&mut points().map(|point| point.greatest)));
        let y = match plot.y.1 {
            Scale::Linear => (0.0, (high / step(high)).ceil() * step(high)),
            Scale::Logarithmic => (low.log10().floor(), high.log10().ceil()),
        };
        Self { top: TITLE + LEGEND_ROW * plot.curves.len() as f64, x, y, scale: plot.y.1 }
    }

    fn x(&self, value: f64) -> f64 {
        let (from, to) = (LEFT + PADDING, WIDTH - RIGHT - PADDING);
        let span = self.x.1 - self.x.0;
        // A single point stands in the middle.
        let share = if span > 0.0 { (value.log10() - self.x.0) / span } else { 0.5 };
        from + share * (to - from)
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.scale == Scale::Linear { value } else { value.log10() };
        let share = (value - self.y.0) / (self.y.1 - self.y.0).max(f64::MIN_POSITIVE);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - self.top)
    }

    /// Values of the vertical axis that have a line and a label.
    fn ticks(&self) -> Vec<f64> {
        let (from, to) = self.y;
        let steps = |step: f64| {
            let count = ((to - from) / step).round() as u32;
            (0..=count).map(move |index| from + f64::from(index) * step)
        };
        match self.scale {
            Scale::Linear => steps(step(to)).collect(),
            Scale::Logarithmic => steps(1.0).map(|exponent| 10_f64.powf(exponent)).collect(),
        }
    }
}

/// Between two ticks of an axis that ends at about this value: 1, 2 or 5 times a power of ten, 4 to 10 of them.
fn step(high: f64) -> f64 {
    let rough = (high / 4.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [5.0, 2.0, 1.0].into_iter().find(|factor| factor * power <= rough * 1.0001).unwrap_or(1.0);
    factor * power
}

/// The drawing.
pub fn svg(plot: &Plot) -> String {
    let frame = Frame::of(plot);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>{}</title>\n<desc>{}</desc>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"30\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
        escaped(&plot.title),
        escaped(&plot.description),
        escaped(&plot.title),
    );
    text += &axes(plot, &frame);
    for (index, curve) in plot.curves.iter().enumerate() {
        text += &drawn(curve, index, &frame);
        let y = TITLE + LEGEND_ROW * index as f64;
        let name = escaped(&curve.name);
        text += &marker(index, LEFT + 6.0, y);
        writeln!(text, "<text x=\"{}\" y=\"{}\">{name}</text>", LEFT + 18.0, y + 4.0).expect(WRITES);
    }
    text + "</svg>\n"
}

const WRITES: &str = "a string takes everything";

fn axes(plot: &Plot, frame: &Frame) -> String {
    let mut text = String::new();
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in frame.ticks() {
        let (y, label) =
            (frame.y(tick), if tick == 0.0 { "0".to_owned() } else { Unit::Nanoseconds.shown(tick) });
        writeln!(text, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>").expect(WRITES);
        writeln!(text, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, y + 4.0)
            .expect(WRITES);
    }
    let mut values: Vec<f64> =
        plot.curves.iter().flat_map(|curve| &curve.points).map(|point| point.x).collect();
    values.sort_unstable_by(|one, other| other.total_cmp(one));
    values.dedup();
    // The largest has a label in any case; others where there is room.
    let mut taken = WIDTH;
    for value in values {
        let (x, label) = (frame.x(value), plot.x.1.shown(value));
        let half = label.chars().count() as f64 * CHARACTER / 2.0;
        writeln!(text, "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#555\"/>").expect(WRITES);
        if x + half < taken - 4.0 {
            taken = x - half;
            writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                bottom + 20.0
            )
            .expect(WRITES);
        }
    }
    let middle = (LEFT + right) / 2.0;
    writeln!(text, "<path d=\"M{LEFT} {:.1}V{bottom}H{right}\" stroke=\"#555\" fill=\"none\"/>", frame.top)
        .expect(WRITES);
    writeln!(
        text,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        HEIGHT - 18.0,
        escaped(&plot.x.0)
    )
    .expect(WRITES);
    let (x, y) = (20.0, f64::midpoint(frame.top, bottom));
    writeln!(
        text,
        "<text transform=\"translate({x} {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escaped(&plot.y.0)
    )
    .expect(WRITES);
    text
}

/// The band, the line and the markers of one curve.
fn drawn(curve: &Curve, index: usize, frame: &Frame) -> String {
    let colour = COLOURS[index % COLOURS.len()];
    let at = |point: &Point, value: f64| format!("{:.1},{:.1} ", frame.x(point.x), frame.y(value));
    let medians: String = curve.points.iter().map(|point| at(point, point.median)).collect();
    let over = curve.points.iter().map(|point| at(point, point.greatest));
    let band: String = over.chain(curve.points.iter().rev().map(|point| at(point, point.least))).collect();
    let mut text = format!(
        "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.18\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
        band.trim_end(),
        medians.trim_end(),
    );
    for point in &curve.points {
        text += &marker(index, frame.x(point.x), frame.y(point.median));
    }
    text
}

fn marker(index: usize, x: f64, y: f64) -> String {
    let colour = COLOURS[index % COLOURS.len()];
    match index % COLOURS.len() {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\n"),
        1 => format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" fill=\"{colour}\"/>\n",
            x - 4.0,
            y - 4.0
        ),
        _ => format!("<path d=\"M{x:.1} {:.1}l5 9h-10z\" fill=\"{colour}\"/>\n", y - 5.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

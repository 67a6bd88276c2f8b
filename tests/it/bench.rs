//! The benchmark's page and plots, whose pure parts are tested here: the benchmark has a `main` of its own.

#[path = "../bench/page.rs"]
mod page;
#[path = "../bench/plot.rs"]
mod plot;

use page::Part;
use plot::{Curve, Plot, Point, Scale, Unit};
use serde_json::json;

use crate::support::build::root;

#[test]
fn a_section_is_replaced_and_the_others_stay() {
    let all: Vec<_> = Part::ALL
        .iter()
        .map(|part| (*part, format!("{}, first\n\n### More\n\nof it", part.name())))
        .collect();
    let page = page::with("", &all);
    let page = page::with(&page, &[(Part::Scale, "scale, second".to_owned())]);
    assert!(page.contains("scale, second") && !page.contains("scale, first"), "{page}");
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Scale) {
        assert!(page.contains(&format!("{}, first\n\n### More\n\nof it\n", part.name())), "{page}");
    }
    assert_eq!(page::with(&page, &[]), page, "nothing measured, nothing changed");
}

#[test]
fn figures_of_a_part_are_replaced_and_the_others_stay() {
    let before = json!({ "speed": { "rounds": 7 }, "scale": { "rounds": 5 }, "lines": [] });
    let after = page::with_json(&before, &[(Part::Speed, json!({ "rounds": 8 }))]);
    assert_eq!(after, json!({ "speed": { "rounds": 8 }, "scale": { "rounds": 5 } }));
    assert_eq!(page::with_json(&json!(null), &[]), json!({}));
}

#[test]
fn every_plot_of_the_page_is_there() {
    let host = root().join("host");
    let page = std::fs::read_to_string(host.join("BENCHMARKS.md")).expect("the page");
    for shown in page.split("](benchmarks/").skip(1) {
        let name = shown.split(')').next().expect("a link");
        assert!(host.join("benchmarks").join(name).is_file(), "host/benchmarks/{name} is missing");
    }
}

#[test]
fn values_are_told_with_three_digits_and_a_unit() {
    for (unit, value, shown) in [
        (Unit::Count, 1.0, "1"),
        (Unit::Count, 1_000_000.0, "1 000 000"),
        (Unit::Bytes, 1.0, "1 B"),
        (Unit::Bytes, 65_536.0, "64 KiB"),
        (Unit::Bytes, 268_435_456.0, "256 MiB"),
        (Unit::Nanoseconds, 460_123.0, "460 us"),
        (Unit::Nanoseconds, 4_600_000.0, "4.6 ms"),
        (Unit::Nanoseconds, 0.5, "0.5 ns"),
        (Unit::Nanoseconds, 2e9, "2 s"),
    ] {
        assert_eq!(unit.shown(value), shown);
    }
}

fn plot(scale: Scale, sizes: &[f64]) -> Plot {
    let point =
        |x: &f64| Point { x: *x, least: 90_000.0, median: 100_000.0 + x.sqrt(), greatest: 150_000.0 + x };
    let curve = |name: &str| Curve { name: name.to_owned(), points: sizes.iter().map(point).collect() };
    Plot {
        title: "Tasks & <more>".to_owned(),
        description: "flat".to_owned(),
        x: ("tasks".to_owned(), Unit::Count),
        y: ("time per task".to_owned(), scale),
        curves: vec![curve("fresh"), curve("reused")],
    }
}

/// The values of an attribute.
fn attributes<'a>(svg: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!(" {name}=\"");
    let parts = svg.split(&opening).skip(1);
    parts.map(|part| part.split('"').next().unwrap_or_default()).collect()
}

#[test]
fn a_plot_has_each_point_and_stays_within_its_frame() {
    for scale in [Scale::Linear, Scale::Logarithmic] {
        for sizes in [&[1.0][..], &[1.0, 10.0, 100.0, 1000.0, 1e6]] {
            let svg = plot::svg(&plot(scale, sizes));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("Tasks &amp; &lt;more&gt;"), "{svg}");
            // The legend has one more.
            assert_eq!(svg.matches("<circle").count(), sizes.len() + 1, "{svg}");
            let points = attributes(&svg, "points");
            assert_eq!(points.len(), 4, "two bands and two lines: {svg}");
            for point in points.iter().flat_map(|points| points.split(' ')) {
                let (x, y) = point.split_once(',').expect("two numbers");
                let (x, y): (f64, f64) = (x.parse().expect("a number"), y.parse().expect("a number"));
                assert!((84.0..=804.0).contains(&x) && (92.0..=376.0).contains(&y), "{point} in {svg}");
            }
        }
    }
}

#[test]
fn labels_of_a_plot_do_not_overlap() {
    let sizes: Vec<f64> = (1..40).map(f64::from).map(|x| x * 1000.0).collect();
    let svg = plot::svg(&plot(Scale::Linear, &sizes));
    let labels = svg.lines().filter(|line| line.contains("y=\"396\"")).map(|line| {
        let x: f64 = attributes(line, "x")[0].parse().expect("a number");
        let text = line.split(['>', '<']).nth(2).expect("a text");
        (x, text.len() as f64 * 6.8)
    });
    let labels: Vec<_> = labels.rev().collect();
    assert!(labels.len() > 4, "{svg}");
    for pair in labels.windows(2) {
        let [(left, width), (right, other)] = pair else { panic!("two") };
        assert!(left + width / 2.0 < right - other / 2.0, "{labels:?}");
    }
}

#[test]
fn a_linear_axis_begins_at_zero_and_has_few_round_ticks() {
    for high in [1.0, 7.3, 99.0, 150_000.0, 650_123.0, 4.1e9] {
        let mut plot = plot(Scale::Linear, &[1.0]);
        plot.curves.truncate(1);
        plot.curves[0].points[0] = Point { x: 1.0, least: high / 2.0, median: high / 2.0, greatest: high };
        let svg = plot::svg(&plot);
        let labels: Vec<_> = svg.lines().filter(|line| line.contains("text-anchor=\"end\"")).collect();
        assert!(labels[0].contains(">0<"), "{labels:?}");
        assert!((4..=12).contains(&labels.len()), "{labels:?}");
    }
}

//! Plots of the results: SVG without a background, in colours that are readable on a light and on a
//! dark page.

use std::error::Error;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::machine::{self, Cores};
use crate::report::goals::Results;
use crate::report::stream_summary::{OfSize, named};
use crate::scenario::broadcast::{self, ByReceivers};
use crate::scenario::mpmc_fixed_time::Topology;
use crate::scenario::one_way::Times;
use crate::scenario::round_trip::Placement;
use crate::transport::Transport;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SIZE: (u32, u32) = (880, 480);
/// Width of the plot; the legend is to its right.
const WIDTH: u32 = 650;
/// Colour of axes and baselines.
const GREY: RGBColor = RGBColor(128, 128, 128);
/// Text has the colour of the page's. The style overrides the colour of the elements.
const STYLE: &str =
    "<style>text{fill:#1f2328}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>";

/// The output folder, and the description of the machine.
pub struct Plots {
    folder: PathBuf,
    machine: String,
}

/// An axis with marks at given places.
struct Marks {
    span: Range<f64>,
    places: Vec<f64>,
}

impl Ranged for Marks {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.span.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.places.clone()
    }

    fn range(&self) -> Range<f64> {
        self.span.clone()
    }
}

/// The results at one place of the horizontal axis.
struct Column<'a> {
    place: f64,
    label: String,
    results: &'a Results<Transport>,
}

/// Points from left to right: median, minimum and maximum.
struct Line {
    transport: Transport,
    points: Vec<(f64, [f64; 3])>,
}

/// Returns a line for each transport, sysvring's first.
fn lines(columns: &[Column]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for Column { place, results, .. } in columns {
        for (&transport, rate) in results.contenders.iter().zip(&results.figures) {
            let point = (*place, [rate.median(), rate.min(), rate.max()]);
            match lines.iter_mut().find(|line| line.transport == transport) {
                Some(line) => line.points.push(point),
                None => lines.push(Line { transport, points: vec![point] }),
            }
        }
    }
    lines.sort_by_key(|line| !line.transport.is_sysvring());
    lines
}

impl Plots {
    pub fn new(folder: &Path, cores: &Cores) -> io::Result<Plots> {
        fs::create_dir_all(folder)?;
        Ok(Plots { folder: folder.to_owned(), machine: machine::name(cores) })
    }

    /// Plots throughput by message size.
    pub fn stream(&self, sizes: &[OfSize<Transport>]) -> io::Result<()> {
        let columns = sizes.iter().map(|OfSize { bytes, results }| Column {
            place: (*bytes as f64).log2(),
            label: named(*bytes),
            results,
        });
        let title = "SPSC throughput by message size: Mmsg/s";
        self.save("stream.svg", title, |area| draw_lines(area, columns.collect()))
    }

    /// Plots throughput by topology.
    pub fn mpmc(&self, topologies: &[(Topology, Results<Transport>)]) -> io::Result<()> {
        let columns = topologies.iter().enumerate();
        let columns = columns.map(|(x, (topology, results))| Column {
            place: x as f64,
            label: topology.name(),
            results,
        });
        let title = "MPMC throughput (senders x receivers) on two processors, 8 B: Mmsg/s";
        self.save("mpmc.svg", title, |area| draw_lines(area, columns.collect()))
    }

    /// Plots the rate of broadcast by the number of receivers, for the smallest and the largest messages
    /// of a whole run.
    pub fn broadcast(&self, sizes: &[(usize, ByReceivers)]) -> io::Result<()> {
        let [(least, few), .., (most, frames)] = sizes else { return Ok(()) };
        for (bytes, all, name) in
            [(least, few, "broadcast.svg"), (most, frames, "broadcast-frames.svg")]
        {
            let columns = all.iter().map(|(receivers, results)| Column {
                place: (*receivers as f64).log2(),
                label: format!("{receivers}"),
                results,
            });
            let unit = broadcast::unit(*bytes).0;
            let title =
                format!("Broadcast of {} by the number of receivers: {unit}", named(*bytes));
            self.save(name, &title, |area| draw_lines(area, columns.collect()))?;
        }
        Ok(())
    }

    /// Plots percentiles of the one-way latency.
    pub fn one_way(&self, times: &[Times]) -> io::Result<()> {
        let title = "One-way latency, 8 B: p50, p99 and p99.9";
        self.save("one-way.svg", title, |area| draw_times(area, times))
    }

    /// Plots percentiles of the round trip, for one placement.
    pub fn round_trip(&self, place: Placement, times: &[Times]) -> io::Result<()> {
        let title = format!("Round trip, 8 B, on {}: p50, p99 and p99.9", place.name());
        let name = match place {
            Placement::Apart => "round-trip.svg",
            Placement::Together => "round-trip-together.svg",
        };
        self.save(name, &title, |area| draw_times(area, times))
    }

    fn save(&self, name: &str, title: &str, draw: impl FnOnce(&Area) -> Result) -> io::Result<()> {
        let mut svg = String::new();
        let drawn = || -> Result {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            area.draw(&Text::new(title, (14, 12), font(17)))?;
            area.draw(&Text::new(self.machine.as_str(), (14, 36), font(12)))?;
            draw(&area.margin(58, 10, 8, 8))?;
            area.present()?;
            Ok(())
        };
        // The error is not `Send`.
        drawn().map_err(|error| io::Error::other(error.to_string()))?;
        let head = svg.find('>').map_or(0, |end| end + 1);
        svg.insert_str(head, STYLE);
        let path = self.folder.join(name);
        fs::write(&path, svg)?;
        println!("\n  drawn: {}", path.display());
        Ok(())
    }
}

fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// Applies the line and label styles that all plots share.
fn plain<'m, 'a, 'b, X, Y, D>(
    mesh: &'m mut MeshStyle<'a, 'b, X, Y, D>,
) -> &'m mut MeshStyle<'a, 'b, X, Y, D>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    D: DrawingBackend,
{
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.25))
        .axis_style(GREY)
        .label_style(font(13))
}

/// Returns the powers of ten around all positive figures; zeros are drawn at the bottom.
fn decades(figures: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let moved = figures.filter(|&x| x > 0.0);
    let (low, high) = moved.fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()))
}

fn draw_lines(area: &Area, columns: Vec<Column>) -> Result {
    let lines = lines(&columns);
    let places: Vec<f64> = columns.iter().map(|column| column.place).collect();
    let label = |x: &f64| {
        let column = columns.iter().find(|column| (column.place - x).abs() < 0.5);
        column.map_or_else(String::new, |column| column.label.clone())
    };
    let (left, right) = area.split_horizontally(WIDTH);
    let all = lines.iter().flat_map(|line| line.points.iter().flat_map(|(_, three)| *three));
    let (low, high) = decades(all);
    let (first, last) = (places[0], places[places.len() - 1]);
    let edge = (last - first) * 0.03;
    let mut chart =
        ChartBuilder::on(&left).x_label_area_size(28).y_label_area_size(56).build_cartesian_2d(
            Marks { span: first - edge..last + edge, places },
            (low..high).log_scale(),
        )?;
    plain(&mut chart.configure_mesh())
        .x_label_formatter(&label)
        .y_label_formatter(&|y| y.to_string())
        .draw()?;
    for Line { transport, points } in &lines {
        let (colour, width) = (colour(*transport), width(*transport));
        let style = colour.stroke_width(width);
        let points = points.iter().map(|&(x, three)| (x, three.map(|y| y.max(low))));
        let middle: Vec<(f64, f64)> = points.clone().map(|(x, [median, ..])| (x, median)).collect();
        chart.draw_series(middle.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        chart.draw_series([PathElement::new(middle, style)])?;
        let ranges = points.map(|(x, [_, min, max])| {
            PathElement::new([(x, min), (x, max)], colour.mix(0.5).stroke_width(1))
        });
        chart.draw_series(ranges)?;
    }
    for (i, line) in lines.iter().enumerate() {
        let y = 20 + 22 * i as i32;
        let style = colour(line.transport).stroke_width(width(line.transport));
        right.draw(&PathElement::new([(14, y), (36, y)], style))?;
        right.draw(&Text::new(line.transport.label(), (44, y - 5), font(13)))?;
    }
    Ok(())
}

fn draw_times(area: &Area, times: &[Times]) -> Result {
    let (low, high) = decades(times.iter().flat_map(|(_, three)| *three));
    let rows: Vec<f64> = (0..times.len()).map(|row| row as f64).collect();
    let mut chart = ChartBuilder::on(area)
        .margin_right(30)
        .x_label_area_size(28)
        .y_label_area_size(190)
        .build_cartesian_2d(
            (low..high).log_scale(),
            // The first row is at the top.
            Marks { span: rows.len() as f64 - 0.5..-0.5, places: rows },
        )?;
    plain(&mut chart.configure_mesh())
        .x_label_formatter(&|ns| time(*ns))
        .y_label_formatter(&|y| times[y.round() as usize].0.label().to_owned())
        .draw()?;
    for (row, (transport, three)) in times.iter().enumerate() {
        let colour = colour(*transport);
        let points = three.map(|x| (x, row as f64));
        chart.draw_series([PathElement::new(points, colour.stroke_width(width(*transport)))])?;
        // The median has the largest dot.
        let dots = points.iter().zip([6, 4, 3]);
        chart.draw_series(dots.map(|(&point, size)| Circle::new(point, size, colour.filled())))?;
    }
    Ok(())
}

/// Formats a time in a suitable unit.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns} ns"),
        ns if ns < 1e6 => format!("{} us", ns / 1e3),
        ns => format!("{} ms", ns / 1e6),
    }
}

/// Returns the line width: sysvring's lines are thicker.
fn width(transport: Transport) -> u32 {
    if transport.is_sysvring() { 3 } else { 1 }
}

fn colour(transport: Transport) -> RGBColor {
    match transport {
        Transport::BroadcastInPlace => RGBColor(229, 72, 77),
        Transport::Broadcast => RGBColor(247, 107, 21),
        Transport::Channels | Transport::ChannelsInPlace => GREY,
        Transport::Sysvring | Transport::Spin | Transport::Park => RGBColor(229, 72, 77),
        Transport::InPlace | Transport::Huge => RGBColor(247, 107, 21),
        Transport::ByValue | Transport::Named | Transport::Mpmc => RGBColor(200, 60, 120),
        Transport::Baseline | Transport::WordsInFront | Transport::WordsApart => GREY,
        Transport::CacheLine | Transport::Vyukov | Transport::Copy => GREY,
        Transport::Shaq | Transport::ShaqBlocking => RGBColor(0, 110, 255),
        Transport::ShmemIpc => RGBColor(18, 165, 148),
        Transport::Ipmpsc => RGBColor(214, 64, 159),
        Transport::Iceoryx2 | Transport::Iceoryx2Events => RGBColor(142, 78, 198),
        Transport::IpcChannel => RGBColor(120, 100, 150),
        Transport::Pipe => RGBColor(70, 167, 88),
        Transport::Unix => RGBColor(130, 190, 90),
        Transport::Tcp => RGBColor(90, 140, 60),
        Transport::SysV => RGBColor(210, 160, 20),
        Transport::Posix => RGBColor(184, 115, 51),
        Transport::Rtrb => RGBColor(120, 150, 220),
        Transport::Crossbeam => RGBColor(60, 190, 225),
        Transport::Std => RGBColor(150, 140, 190),
        transport => unreachable!("no plot shows {transport}"),
    }
}

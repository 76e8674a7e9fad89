//! Axes: from values to places, and ticks at round values.

/// An axis from `low` to `high`.
#[derive(Clone, Debug)]
pub struct Axis {
    label: String,
    kind: Kind,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Log,
    /// Shares of rows that are right, by the logarithm of those that are wrong: 90, 99 and 99.9 % are as far apart.
    Accuracy,
}

impl Kind {
    fn coordinate(self, value: f64) -> f64 {
        match self {
            Kind::Linear => value,
            Kind::Log => value.log10(),
            Kind::Accuracy => -(1.0 - value).log10(),
        }
    }
}

impl Axis {
    /// Iterations 1 to `last`: equal distances for a few, by their logarithm for many.
    pub fn iterations(last: usize) -> Self {
        let (label, last) = ("iteration", last.max(1) as f64);
        if last > 20.0 {
            return Self::log_between(label, 1.0, last);
        }
        // Room on both sides, so that one iteration stands in the middle.
        let step = (last / 10.0).ceil();
        let ticks = (1..=last as usize).map(|t| t as f64).filter(|t| (t - 1.0) % step == 0.0).collect();
        Axis { label: label.into(), kind: Kind::Linear, low: 0.5, high: last + 0.5, ticks }
    }

    /// Equal distances for equal ratios, over the positive ones of the values.
    pub fn log(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = range(values.filter(|value| *value > 0.0));
        Self::log_between(label, low / 1.15, high * 1.15)
    }

    fn log_between(label: &str, low: f64, high: f64) -> Self {
        let decades = (high / low).log10();
        let factors: &[f64] = match decades {
            d if d > 3.2 => &[1.0],
            d if d > 0.8 => &[1.0, 2.0, 5.0],
            _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
        };
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let apart = (decades / 8.0).ceil().max(1.0) as i32;
        let ticks = powers
            .filter(|power| power % apart == 0)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        let within = |tick: &f64| (low * 0.999..=high * 1.001).contains(tick);
        let ticks = match ticks.filter(within).collect::<Vec<_>>() {
            ticks if ticks.len() > 2 => ticks,
            _ => round_steps(low, high).filter(within).collect(),
        };
        Axis { label: label.into(), kind: Kind::Log, low, high, ticks }
    }

    /// Shares of `rows` rows that are right; all right is drawn where half a row would be wrong.
    pub fn accuracy(rows: usize, values: impl Iterator<Item = f64>) -> Self {
        let best = 1.0 - 0.5 / rows.max(1) as f64;
        let (low, high) = range(values.map(|value| value.min(best)));
        // Room on both sides, and enough that a handful of rows does not look like much.
        let room = if (1.0 - low) < 2.0 * (1.0 - high) { 1.4 } else { 1.125 };
        let (low, high) = ((1.0 - (1.0 - low) * room).max(0.0), (1.0 - (1.0 - high) / room).min(best));
        let mut axis = Axis { label: "rows right".into(), kind: Kind::Accuracy, low, high, ticks: Vec::new() };
        // Ticks that do not crowd each other; where few of the usual ones are in sight, at equal distances.
        let usual = [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];
        let within = |tick: &f64| (low..=high).contains(tick);
        let ticks = match usual.into_iter().filter(within).collect::<Vec<_>>() {
            ticks if ticks.len() > 2 => ticks,
            _ => round_steps(low, high).filter(within).collect(),
        };
        for tick in ticks {
            let far = |other: &f64| axis.share(tick) - axis.share(*other) > 0.07;
            if axis.ticks.last().is_none_or(far) {
                axis.ticks.push(tick);
            }
        }
        axis
    }

    /// The same axis under another name.
    pub fn named(self, label: &str) -> Self {
        Axis { label: label.into(), ..self }
    }

    /// The name, with the unit.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Places and names of the ticks.
    pub fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        self.ticks.iter().map(|&tick| (self.share(tick), self.show(tick)))
    }

    /// Where a value stands, from 0 at the low end to 1 at the high end; none if the axis cannot show it.
    pub fn place(&self, value: f64) -> Option<f64> {
        // All right has no logarithm: it stands at the end.
        let value = if self.kind == Kind::Accuracy { value.min(self.high) } else { value };
        let share = self.share(value);
        (-1e-9..=1.0 + 1e-9).contains(&share).then_some(share)
    }

    fn share(&self, value: f64) -> f64 {
        let [low, high, at] = [self.low, self.high, value].map(|value| self.kind.coordinate(value));
        if high > low { (at - low) / (high - low) } else { 0.5 }
    }

    /// A value as a tick shows it.
    pub fn show(&self, value: f64) -> String {
        if self.kind == Kind::Accuracy {
            return format!("{} %", plain(100.0 * value));
        }
        plain(value)
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, about five of them, from just below `low` to just above `high`.
fn round_steps(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let rough = ((high - low) / 5.0).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    ((low / step).floor() as i64..=(high / step).ceil() as i64).map(move |k| k as f64 * step)
}

/// A number with as many digits as it needs, at most five.
fn plain(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let text = format!("{value:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The least and the largest finite value; 0 and 1 if there is none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values.filter(|value| value.is_finite()).fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    });
    ends.unwrap_or((0.1, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<String> {
        axis.ticks().map(|(_, name)| name).collect()
    }

    #[test]
    fn ticks_are_round_values_within_the_axis() {
        assert_eq!(names(&Axis::iterations(500)), ["1", "2", "5", "10", "20", "50", "100", "200", "500"]);
        assert_eq!(names(&Axis::iterations(3)), ["1", "2", "3"]);
        assert_eq!(names(&Axis::log("x", [0.02, 250.0, 0.0].into_iter())), ["0.1", "1", "10", "100"]);
        assert_eq!(
            names(&Axis::log("x", [2e-14, 9.0].into_iter())),
            ["1e-12", "1e-10", "1e-8", "1e-6", "0.0001", "0.01", "1"]
        );
        assert_eq!(
            names(&Axis::accuracy(10_000, [0.5, 0.972].into_iter())),
            ["50 %", "60 %", "70 %", "80 %", "90 %", "95 %"]
        );
    }

    #[test]
    fn accuracies_that_hardly_differ_have_ticks_all_the_same() {
        let axis = Axis::accuracy(599, [0.9265, 0.9349].into_iter());
        assert_eq!(names(&axis), ["90 %", "92 %", "94 %"]);
        for value in [0.0, 0.3, 0.828, 0.97, 1.0] {
            for rows in [1, 128, 10_000] {
                let ticks = names(&Axis::accuracy(rows, std::iter::once(value)));
                assert!(ticks.len() > 1 || rows == 1, "{value} of {rows}: {ticks:?}");
            }
        }
    }

    #[test]
    fn small_numbers_that_hardly_differ_have_ticks_all_the_same() {
        assert_eq!(names(&Axis::log("x", [5.6e-9, 6.0e-9].into_iter())), ["5e-9", "5.5e-9", "6e-9", "6.5e-9"]);
    }

    #[test]
    fn equal_factors_of_errors_are_equally_far_apart() {
        let axis = Axis::accuracy(100_000, [0.5, 0.9995].into_iter());
        let [a, b, c] = [0.9, 0.99, 0.999].map(|value| axis.place(value).unwrap());
        assert!((b - a - (c - b)).abs() < 1e-12);
        assert!(axis.place(1.0).unwrap() > c, "all right stands at the end");
        assert_eq!(axis.place(0.1), None);
    }

    #[test]
    fn an_axis_over_one_value_or_none_places_it() {
        assert!(Axis::log("x", [2.0].into_iter()).place(2.0).is_some());
        assert!(Axis::accuracy(10, std::iter::once(1.0)).place(1.0).is_some());
        assert!(Axis::log("x", std::iter::empty()).place(0.5).is_some());
        assert_eq!(Axis::iterations(1).place(1.0), Some(0.5));
    }
}

//! Removes from a report what the public must not see: values of so few installations that a single one could be
//! identified.

use super::report::{Part, Report, Row, ValueTotal};
use super::rows::sort;

/// Value that rare values are added to.
pub const OTHER: &str = "other";

/// Number of installations that a value needs to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least(pub u32);

impl Least {
    /// Adds rarer values up as `other`, row by row. Removes the figures of fields that fewer records have. Removes
    /// every least and greatest figure too, because each of them is the figure of one installation.
    pub(super) fn applied(self, mut report: Report) -> Report {
        for row in &mut report.rows {
            self.apply(row);
        }
        report
    }

    fn apply(self, row: &mut Row) {
        let least = f64::from(self.0);
        match &mut row.part {
            Part::Values(values) => {
                let rare = |value: &ValueTotal| value.total < least && value.value != OTHER;
                let sum: f64 = values
                    .iter()
                    .filter(|value| rare(value))
                    .map(|v| v.total)
                    .sum();
                if sum <= 0.0 {
                    return values.retain(|value| !rare(value));
                }
                values.retain(|value| !rare(value));
                let is_other =
                    |value: &&mut ValueTotal| value.value == OTHER && value.country.is_none();
                match values.iter_mut().find(is_other) {
                    Some(other) => other.total += sum,
                    None => values.push(ValueTotal {
                        value: OTHER.to_owned(),
                        name: None,
                        country: None,
                        total: sum,
                    }),
                }
                sort(values);
            }
            Part::Numbers(numbers) => {
                *numbers = numbers.filter(|numbers| numbers.count >= least);
                if let Some(numbers) = numbers {
                    numbers.least = f64::NAN;
                    numbers.greatest = f64::NAN;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::totals::format::examples::{numbers, report, row, value};

    #[test]
    fn rare_values_are_added_up_row_by_row() {
        let rows = vec![
            row(
                0,
                20.0,
                vec![
                    value("a", 9.0),
                    value("b", 4.0),
                    value("c", 3.5),
                    value("d", 2.0),
                ],
            ),
            row(
                1,
                12.0,
                vec![value("a", 4.0), value("b", 5.0), value("other", 3.0)],
            ),
            row(2, 6.0, vec![value("a", 6.0)]),
        ];
        let shown = Least(5).applied(report("host_arch", rows));
        let of = |at: usize| match &shown.rows[at].part {
            Part::Values(values) => values.iter().map(|v| (v.value.clone(), v.total)).collect(),
            Part::Numbers(_) => Vec::new(),
        };
        let named = |values: &[(&str, f64)]| -> Vec<(String, f64)> {
            values
                .iter()
                .map(|(value, total)| ((*value).to_owned(), *total))
                .collect()
        };
        assert_eq!(of(0), named(&[("other", 9.5), ("a", 9.0)]));
        assert_eq!(of(1), named(&[("other", 7.0), ("b", 5.0)]));
        assert_eq!(of(2), named(&[("a", 6.0)]));
        assert_eq!(shown.rows[0].total, Some(20.0));
    }

    #[test]
    fn a_figure_of_few_installations_is_left_out_and_no_single_one_is_told() {
        let rows = vec![
            numbers(0, Some([4.0, 8.0, 1.0, 3.0])),
            numbers(1, Some([5.0, 8.0, 1.0, 3.0])),
        ];
        let shown = Least(5).applied(report("load", rows));
        assert_eq!(shown.rows[0].part, Part::Numbers(None));
        let Part::Numbers(Some(told)) = &shown.rows[1].part else {
            panic!("{:?}", shown.rows[1]);
        };
        assert_eq!((told.count, told.sum), (5.0, 8.0));
        assert!(told.least.is_nan() && told.greatest.is_nan());
    }
}

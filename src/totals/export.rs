//! Exports a whole ledger, entry by entry, for other programs and other servers. Never changes the ledger.

use std::io;

use super::error::LedgerError;
use super::history::{Entry, Figure, Kind, OfField, OfValue, Type};
use super::reader::LedgerReader;
use super::report::counts_as_covered;

struct Dimension {
    id: i64,
    name: String,
    kind: String,
}

impl LedgerReader {
    /// Calls `visit` with all days, then all periods, each oldest first, from one consistent state of the ledger.
    /// An error of `visit` ends the export and is the inner result.
    pub fn history(
        &self,
        mut visit: impl FnMut(&Entry) -> io::Result<()>,
    ) -> Result<io::Result<()>, LedgerError> {
        let transaction = self.connection.unchecked_transaction();
        let _transaction = transaction.map_err(|error| self.failed(&error))?;
        let dimensions = self.all(
            "SELECT id, name, kind FROM dimension ORDER BY kind = 'tag' DESC, name, kind",
            (),
            |row| {
                Ok(Dimension {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    kind: row.get(2)?,
                })
            },
        )?;
        for kind in [Kind::Day, Kind::Period] {
            for mut entry in self.entries(kind)? {
                self.complete(&mut entry, &dimensions)?;
                if let Err(error) = visit(&entry) {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(()))
    }

    /// All entries of a kind, still without values and numbers.
    fn entries(&self, kind: Kind) -> Result<Vec<Entry>, LedgerError> {
        let sql = match kind {
            Kind::Day => {
                "SELECT start, 86400, covered_seconds, periods, mean, least, greatest FROM day
                 ORDER BY start"
            }
            Kind::Period => {
                "SELECT start, seconds, covered_seconds, 0, total, total, total FROM periods
                 ORDER BY start"
            }
        };
        self.all(sql, (), |row| {
            let (seconds, covered): (i64, i64) = (row.get(1)?, row.get(2)?);
            let periods = match kind {
                Kind::Day => row.get(3)?,
                Kind::Period => {
                    counts_as_covered(seconds.max(1) as u64, covered.max(0) as u64).into()
                }
            };
            let total: Option<f64> = row.get(4)?;
            let all = match total {
                Some(total) => Some(Figure {
                    total,
                    least: row.get(5)?,
                    greatest: row.get(6)?,
                }),
                None => None,
            };
            Ok(Entry {
                kind,
                start: row.get(0)?,
                seconds,
                covered_seconds: covered,
                periods,
                all,
                values: Vec::new(),
                numbers: Vec::new(),
            })
        })
    }

    fn complete(&self, entry: &mut Entry, dimensions: &[Dimension]) -> Result<(), LedgerError> {
        let (values, numbers) = match entry.kind {
            Kind::Day => (
                "SELECT v.value, v.name, v.country, t.mean, t.least, t.greatest
                 FROM total_day t JOIN value v ON v.id = t.value
                 WHERE t.dimension = ? AND t.day = ? ORDER BY t.mean DESC, v.value, v.country",
                "SELECT count, sum, least, greatest FROM number_day WHERE dimension = ? AND day = ?",
            ),
            Kind::Period => (
                "SELECT v.value, v.name, v.country, t.total, t.total, t.total
                 FROM total t JOIN value v ON v.id = t.value
                 WHERE t.dimension = ? AND t.period = ? ORDER BY t.total DESC, v.value, v.country",
                "SELECT count, sum, least, greatest FROM number WHERE dimension = ? AND period = ?",
            ),
        };
        for dimension in dimensions {
            let key = (dimension.id, entry.start);
            let of = match dimension.kind.as_str() {
                "number" => {
                    entry.numbers.extend(self.all(numbers, key, |row| {
                        Ok(OfField {
                            field: dimension.name.clone(),
                            count: row.get(0)?,
                            sum: row.get(1)?,
                            least: row.get(2)?,
                            greatest: row.get(3)?,
                        })
                    })?);
                    continue;
                }
                "boolean" => Type::Boolean,
                _ => Type::Tag,
            };
            entry.values.extend(self.all(values, key, |row| {
                Ok(OfValue {
                    dimension: dimension.name.clone(),
                    of,
                    value: row.get(0)?,
                    name: row.get(1)?,
                    country: row.get(2)?,
                    figure: Figure {
                        total: row.get(3)?,
                        least: row.get(4)?,
                        greatest: row.get(5)?,
                    },
                })
            })?);
        }
        Ok(())
    }
}

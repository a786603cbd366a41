//! Cache of the ids of dimensions and values for an import.

use std::collections::HashMap;

use rusqlite::Transaction;

use crate::totals::commit::dimension_id;

/// Ids of dimensions and values, valid until another process changes the ledger.
#[derive(Debug, Default)]
pub(super) struct Ids {
    version: i64,
    dimensions: HashMap<(String, &'static str), i64>,
    values: HashMap<(i64, String, String), i64>,
}

impl Ids {
    /// Clears the cache if another process changed the ledger: the server deletes unused values.
    pub fn forget_after_others(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = transaction.query_row("PRAGMA data_version", (), |row| row.get(0))?;
        if version != self.version {
            *self = Ids {
                version,
                ..Ids::default()
            };
        }
        Ok(())
    }

    pub fn all_dimensions(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<i64>> {
        let mut statement = transaction.prepare_cached("SELECT id FROM dimension")?;
        statement.query_map((), |row| row.get(0))?.collect()
    }

    pub fn dimension(
        &mut self,
        transaction: &Transaction<'_>,
        name: &str,
        kind: &'static str,
    ) -> rusqlite::Result<i64> {
        let key = (name.to_owned(), kind);
        if let Some(&id) = self.dimensions.get(&key) {
            return Ok(id);
        }
        let id = dimension_id(transaction, name, kind)?;
        self.dimensions.insert(key, id);
        Ok(id)
    }

    pub fn value(
        &mut self,
        transaction: &Transaction<'_>,
        dimension: i64,
        text: &str,
        country: &str,
        name: &Option<String>,
    ) -> rusqlite::Result<i64> {
        let key = (dimension, text.to_owned(), country.to_owned());
        if let Some(&id) = self.values.get(&key) {
            return Ok(id);
        }
        // An existing name is kept: it is newer than the imported one.
        let sql = "INSERT INTO value (dimension, value, country, name) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET name = coalesce(name, ?4) RETURNING id";
        let id = transaction
            .prepare_cached(sql)?
            .query_row((dimension, text, country, name), |row| row.get(0))?;
        self.values.insert(key, id);
        Ok(id)
    }
}

//! The flags of `report`; a part of the one table in `flags`.

use super::command::{For, Name};
use super::flag::{Flag, of, switch, value};

pub(super) const BY: Flag = of(
    For::Only(Name::Report),
    value(
        "--by",
        "",
        "WHAT",
        "all",
        "all, app_version, country, city, or an extra tag or field, in snake case",
    ),
);

pub(super) const LAST: Flag = of(
    For::Only(Name::Report),
    value(
        "--last",
        "",
        "SPAN",
        "30d",
        "the time before --to or now: 30d, 12h, 90m, 1d12h",
    ),
);

pub(super) const FROM: Flag = of(
    For::Only(Name::Report),
    value(
        "--from",
        "",
        "TIME",
        "",
        "in place of --last: an RFC 3339 date with time, or a date (UTC)",
    ),
);

pub(super) const TO: Flag = of(
    For::Only(Name::Report),
    value(
        "--to",
        "",
        "TIME",
        "",
        "the end, not a part of the report (default: now)",
    ),
);

pub(super) const EVERY: Flag = of(
    For::Only(Name::Report),
    value(
        "--every",
        "",
        "SPAN",
        "period",
        "what a row stands for: period, 6h, 1d, 7d; of hours and days the mean of their\nperiods",
    ),
);

pub(super) const FORMAT: Flag = of(
    For::Both(Name::Report, Name::ExportTotals),
    value(
        "--format",
        "",
        "FORMAT",
        "text",
        "text, csv or json; of export-totals csv (its default) or line-protocol",
    ),
);

pub(super) const LEFT_OUT: Flag = of(
    For::Only(Name::Report),
    switch(
        "--left-out",
        "",
        "the keys that were left out of check-ins, in place of totals",
    ),
);

pub(super) const MERGE: Flag = of(
    For::Only(Name::Report),
    switch(
        "--merge",
        "",
        "add up the ledgers of several servers: state directories, or copies of\nthem, follow",
    ),
);

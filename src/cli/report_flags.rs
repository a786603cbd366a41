//! The flags of `report`; a part of the table in `flags`.

use super::command::{For, Name};
use super::flag::{Flag, of, switch, value};
use crate::totals::asked::REPORT_LAST;

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
        REPORT_LAST,
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
    value("--to", "", "TIME", "", "the end, exclusive (default: now)"),
);

pub(super) const EVERY: Flag = of(
    For::Only(Name::Report),
    value(
        "--every",
        "",
        "SPAN",
        "period",
        "the length of a row: period, 6h, 1d, 7d; a row of hours or days has the\nmean of its periods",
    ),
);

pub(super) const FORMAT: Flag = of(
    For::Both(Name::Report, Name::ExportTotals),
    value(
        "--format",
        "",
        "FORMAT",
        "text",
        "text, csv or json; for export-totals csv (its default) or line-protocol",
    ),
);

pub(super) const LEFT_OUT: Flag = of(
    For::Only(Name::Report),
    switch(
        "--left-out",
        "",
        "show the keys that were left out of check-ins, not totals",
    ),
);

pub(super) const MERGE: Flag = of(
    For::Only(Name::Report),
    switch(
        "--merge",
        "",
        "add up the ledgers of several servers, whose state directories, or copies\nof them, follow",
    ),
);

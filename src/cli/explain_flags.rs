//! The flags of `explain`; a part of the one table in `flags`.

use super::command::{For, Name};
use super::flag::{Flag, of, value};

pub(super) const REQUEST: Flag = of(
    For::Only(Name::Explain),
    value(
        "--request",
        "",
        "FILE",
        "",
        "the body of a check-in, - for standard input; required",
    ),
);

pub(super) const FORWARDED_FOR: Flag = of(
    For::Only(Name::Explain),
    value(
        "--forwarded-for",
        "",
        "ADDRESS",
        "",
        "the client's address, for its country and for roll-outs; it is not shown",
    ),
);

pub(super) const AGAINST: Flag = of(
    For::Only(Name::Explain),
    value(
        "--against",
        "",
        "FILE",
        "",
        "another response config; show what it changes for this client",
    ),
);

//! The commands by name, and which flags belong to which.

use std::fmt;

/// A command that takes flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Start,
    Report,
    CheckConfig,
    Explain,
    TakeOver,
    ExportTotals,
    ImportTotals,
    NewApplication,
}

impl Name {
    pub const ALL: [Name; 8] = [
        Name::Start,
        Name::Report,
        Name::CheckConfig,
        Name::Explain,
        Name::TakeOver,
        Name::ExportTotals,
        Name::ImportTotals,
        Name::NewApplication,
    ];

    /// How many words may follow: a file, a name, or directories.
    pub fn operands(self) -> usize {
        match self {
            Name::ImportTotals | Name::NewApplication => 1,
            Name::Report => usize::MAX,
            _ => 0,
        }
    }

    /// The command of a word.
    pub fn find(word: &str) -> Option<Name> {
        Name::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Start => "start",
            Name::Report => "report",
            Name::CheckConfig => "check-config",
            Name::Explain => "explain",
            Name::TakeOver => "take-over",
            Name::ExportTotals => "export-totals",
            Name::ImportTotals => "import-totals",
            Name::NewApplication => "new-application",
        }
    }
}

/// The commands that a flag belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// All of them. A command ignores such a flag if it does not use it, so that one environment file serves all.
    All,
    Only(Name),
    Both(Name, Name),
    /// All but `start`, which gets its settings from systemd.
    NotStart,
}

impl For {
    pub fn takes(self, command: Name) -> bool {
        match self {
            For::All => true,
            For::Only(name) => name == command,
            For::Both(one, other) => one == command || other == command,
            For::NotStart => command != Name::Start,
        }
    }
}

impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            For::All => f.write_str("every command"),
            For::Only(name) => f.write_str(name.as_str()),
            For::Both(one, other) => write!(f, "{} and {}", one.as_str(), other.as_str()),
            For::NotStart => f.write_str("every command but start"),
        }
    }
}

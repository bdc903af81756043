//! Commits in doubt: the connection to PostgreSQL breaks while a change is being committed, either before the server
//! hears of it, or after it has carried it out. Each flow that writes is cut at each of its commits in both ways, and
//! must come to exactly one outcome, of which the answer or the next look tells.

mod apps;
mod environments;
mod execution;
mod hotfixes;
mod sweep;
mod trial;
mod versions;

//! AWS signature version 4 as a server sees it.

//! Bodies of files.

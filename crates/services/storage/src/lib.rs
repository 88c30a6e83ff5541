//! File storage.

//! Distances and scans.

//! Test databases, clocks and builders.

//! The program: its commands, and the wiring of all crates into a running house.

#![allow(dead_code)]
mod config;
mod migrations;

fn main() {}

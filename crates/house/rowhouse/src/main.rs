//! The program: its commands, and the wiring of all crates into a running house.

#![allow(dead_code)]
mod admin;
mod cli;
mod config;
mod data_dir;
mod logs;
mod migrations;
mod output;

fn main() {}

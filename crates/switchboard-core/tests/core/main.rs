//! Tests of the switchboard's core: [`rules`] holds a table for each rule, [`replies`] and [`limits`] what targets may
//! answer and how much a handle may take, [`model`] compares the directory with a plain scan, and [`sequences`] plays
//! random events with [`harness`], which also the fuzz target drives.

#[cfg(test)]
mod desk;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sequences;

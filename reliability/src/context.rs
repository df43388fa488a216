//! What each part of a run is given.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};

use crate::dice::Dice;
use crate::figures::{Figure, Figures};

/// The programs that are tried, as they were built for it.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `posthaste` as it is shipped.
    pub shipped: PathBuf,
    /// The same with fault points and bugs to switch on (`posthaste-faults`, feature `armed`).
    pub armed: PathBuf,
}

/// What a part of a run is given.
#[derive(Clone)]
pub struct Context {
    /// The programs.
    pub programs: Programs,
    /// Every run of a part has a seed of its own: what it decides by chance it decides by this.
    pub seed: u64,
    /// How much is done, in parts of what a run with every change does: 1.0 there, more in longer ones.
    pub effort: f64,
    /// How many threads a part may keep busy where it can use several.
    pub workers: usize,
    /// A bug that the program is to be started with, in `armed`: the part must notice.
    pub bug: Option<String>,
    /// Where a part keeps what shows an objection.
    pub folder: PathBuf,
    figures: Arc<Figures>,
    /// Those of them that it has reported: in another round it may have been more.
    measured: Arc<Mutex<BTreeSet<&'static str>>>,
    /// The figures this part may report.
    own: &'static [Figure],
    objections: Arc<Mutex<Vec<String>>>,
    skipped: Arc<Mutex<Vec<String>>>,
}

/// Objections kept of one part, and those of them that differ in nothing but numbers; more of the same help nobody, and
/// must not stand in the way of others.
const OBJECTIONS_MAX: usize = 60;
const ALIKE_MAX: usize = 5;

impl Context {
    /// A context of a part with these figures.
    pub fn new(
        programs: Programs,
        seed: u64,
        effort: f64,
        bug: Option<String>,
        figures: Arc<Figures>,
        own: &'static [Figure],
    ) -> Self {
        Self {
            programs,
            seed,
            effort,
            workers: 1,
            bug,
            folder: PathBuf::from("."),
            figures,
            measured: Arc::default(),
            own,
            objections: Arc::default(),
            skipped: Arc::default(),
        }
    }

    /// The same with more threads to keep busy.
    pub fn with_workers(self, workers: usize) -> Self {
        Self { workers: workers.max(1), ..self }
    }

    /// The same with a folder to keep things in.
    pub fn keeping_in(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    /// How often to do what is done `times` in a run with every change; at least once.
    pub fn times(&self, times: u64) -> u64 {
        let scaled = times as f64 * self.effort;
        (scaled.round() as u64).max(1)
    }

    /// Chance, by the seed.
    pub fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    /// The program to try: the one that is shipped, or if a bug is to be switched on the armed one.
    pub fn program(&self) -> &Path {
        if self.bug.is_some() { &self.programs.armed } else { &self.programs.shipped }
    }

    /// Reports a value of one of the part's figures.
    ///
    /// # Errors
    /// If the part has no such figure.
    pub fn report(&self, id: &str, value: f64) -> anyhow::Result<()> {
        let figure = self.own.iter().find(|figure| figure.id == id);
        let figure = figure.with_context(|| format!("no figure is called {id}"))?;
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).insert(figure.id);
        self.figures.take(figure, value);
        Ok(())
    }

    /// Says what should not have happened. The part goes on; the run fails.
    pub fn object(&self, what: impl Into<String>) {
        let mut objections = self.objections.lock().unwrap_or_else(PoisonError::into_inner);
        let what = what.into();
        let alike = objections.iter().filter(|other| kind_of(other) == kind_of(&what)).count();
        if objections.len() < OBJECTIONS_MAX && alike < ALIKE_MAX {
            objections.push(what);
        }
    }

    /// What should not have happened and did.
    pub fn objections(&self) -> Vec<String> {
        self.objections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What could not be tried here, and why.
    pub fn skipped(&self) -> Vec<String> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Objections to figures of this part that it never reported: what was not measured is not kept to.
    pub fn unmeasured(&self) -> impl Iterator<Item = String> {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unmeasured = self.own.iter().filter(move |figure| !measured.contains(figure.id));
        unmeasured.map(|figure| format!("{} was not measured", figure.id))
    }

    /// Says that something cannot be tried on this machine, loudly; in CI that is a failure.
    ///
    /// # Errors
    /// In CI.
    pub fn skip(&self, what: &str, why: &str) -> anyhow::Result<()> {
        println!("SKIPPED: {what}: {why}");
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what}: {why}"));
        if is_ci() {
            bail!("{what}: {why}");
        }
        Ok(())
    }
}

/// The words of an objection, without numbers and names that hold numbers.
fn kind_of(objection: &str) -> String {
    let words = objection.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit())).collect()
}

#[expect(clippy::disallowed_methods, reason = "not a setting, but where this runs")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

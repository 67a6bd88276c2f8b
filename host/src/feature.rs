//! Features of the language that a module may use only if its loader says so.
//!
//! What compilers emit and wasmtime fuzzes all the time is on for every module, feature by feature in `worker/engine.rs`.
//! These are what can be turned on besides: younger, or with a price for every access to memory. Code for other features is
//! another artifact, so they are part of the artifact's name, and of what tells fork servers apart.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! features {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $meaning:literal;)*) => {
        /// A feature that is off unless asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Feature { $($(#[doc = $doc])* $name,)* }

        impl Feature {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the command line.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

features! {
    /// Memories and tables with 64-bit addresses.
    Memory64 = "memory64", "memories and tables with 64-bit addresses";
    /// Memories whose pages have another size than 64 KiB.
    CustomPageSizes = "custom-page-sizes", "memories whose pages have another size than 64 KiB";
    /// Arithmetic of 128 bits.
    WideArithmetic = "wide-arithmetic", "arithmetic of 128 bits";
}

/// A name that no feature has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no feature of this name that could be turned on: there is {}", labels(Feature::ALL.iter().copied(), ", "))]
pub struct UnknownFeature;

impl FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(name: &str) -> Result<Self, UnknownFeature> {
        Self::ALL.iter().copied().find(|feature| feature.label() == name).ok_or(UnknownFeature)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A set of features. Empty by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Features(u8);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u8)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u8 != 0
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.contains(*feature))
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&labels(self.iter(), "+"))
    }
}

fn labels(features: impl Iterator<Item = Feature>, between: &str) -> String {
    features.map(Feature::label).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_has_a_name_of_its_own_and_a_bit_of_its_own() {
        assert!(Feature::ALL.len() <= 8, "one byte has eight bits");
        for feature in Feature::ALL.iter().copied() {
            assert_eq!(feature.label().parse(), Ok(feature));
            let set = Features::NONE.with(feature).with(feature);
            assert_eq!(set.iter().collect::<Vec<_>>(), [feature]);
            assert_eq!(set.to_string(), feature.label());
        }
        let error = "threads".parse::<Feature>().unwrap_err().to_string();
        assert!(error.contains("memory64") && error.contains("wide-arithmetic"), "{error}");
        let all: Features = Feature::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), Feature::ALL.len());
    }
}

//! Whether the layers that were entered are enough. Pure.

#![forbid(unsafe_code)]

use super::{Cause, Tried};
use crate::policy::{Layer, SandboxMode};

/// Layers without which nothing runs in a required sandbox, whatever the machine can do. Besides, one of the two
/// that keep the host's files away must stand.
const MINIMUM: [Layer; 6] = [
    Layer::Environment,
    Layer::Descriptors,
    Layer::ParentDeath,
    Layer::ResourceLimits,
    Layer::NoNewPrivileges,
    Layer::Seccomp,
];

/// A layer that must stand and does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the layer `{}` cannot be entered: {cause}", layer.label())]
pub(crate) struct SandboxError {
    layer: Layer,
    cause: String,
}

impl SandboxError {
    pub(super) fn new(layer: Layer, cause: impl Into<String>) -> Self {
        Self { layer, cause: cause.into() }
    }
}

/// The layers that stand, if they are enough for this mode.
pub(super) fn judge(mode: SandboxMode, tried: &[Tried]) -> Result<Vec<Layer>, SandboxError> {
    if mode == SandboxMode::Required {
        let unbearable = |(layer, result): &Tried| match result {
            Err(Cause::Failed(cause)) => Some(SandboxError::new(*layer, cause.as_str())),
            Err(Cause::Missing(cause)) if MINIMUM.contains(layer) => {
                Some(SandboxError::new(*layer, cause.as_str()))
            }
            _ => None,
        };
        if let Some(error) = tried.iter().find_map(unbearable) {
            return Err(error);
        }
        let cause = |wanted: Layer| {
            let (_, result) = tried.iter().find(|(layer, _)| *layer == wanted)?;
            result.as_ref().err().map(Cause::text)
        };
        if let (Some(landlock), Some(root)) = (cause(Layer::Landlock), cause(Layer::EmptyRoot)) {
            let both = format!("{landlock}; and there is no `{}` either: {root}", Layer::EmptyRoot.label());
            return Err(SandboxError::new(Layer::Landlock, both));
        }
    }
    Ok(tried.iter().filter(|(_, result)| result.is_ok()).map(|(layer, _)| *layer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(missing: &[(Layer, Cause)]) -> Vec<Tried> {
        let cause = |layer| missing.iter().find(|(other, _)| *other == layer).map(|(_, cause)| cause.clone());
        Layer::ALL.iter().map(|layer| (*layer, cause(*layer).map_or(Ok(()), Err))).collect()
    }

    fn missing(layer: Layer) -> (Layer, Cause) {
        (layer, Cause::Missing("not here".to_owned()))
    }

    #[test]
    fn a_layer_that_the_machine_lacks_is_left_out_and_one_of_the_minimum_refuses() {
        for layer in Layer::ALL.iter().copied() {
            let judged = judge(SandboxMode::Required, &without(&[missing(layer)]));
            let named = |error: SandboxError| error.to_string().contains(&format!("`{}`", layer.label()));
            match judged {
                Ok(layers) => assert!(!MINIMUM.contains(&layer) && !layers.contains(&layer), "{layer:?}"),
                Err(error) => assert!(MINIMUM.contains(&layer) && named(error), "{layer:?}"),
            }
        }
    }

    #[test]
    fn files_are_kept_away_by_landlock_or_by_the_empty_root() {
        let neither = without(&[missing(Layer::Landlock), missing(Layer::EmptyRoot)]);
        let refused = judge(SandboxMode::Required, &neither).unwrap_err().to_string();
        assert!(refused.contains("`landlock`") && refused.contains("`empty-root`"), "{refused}");
        assert!(judge(SandboxMode::BestEffort, &neither).is_ok());
    }

    #[test]
    fn a_layer_that_the_machine_has_must_be_entered() {
        for layer in Layer::ALL.iter().copied() {
            let failed = without(&[(layer, Cause::Failed("no memory".to_owned()))]);
            let refused = judge(SandboxMode::Required, &failed).unwrap_err().to_string();
            assert!(refused.contains(layer.label()) && refused.contains("no memory"), "{refused}");
            assert_eq!(judge(SandboxMode::BestEffort, &failed).unwrap().len(), Layer::ALL.len() - 1);
        }
    }
}

//! Who waits for whom, and which waits can never end.
//!
//! Pure. A node is something that could act: a running assignment, or the queue of a pool. Each needs
//! nothing, because it can act now, or any one of some others to act first. What can act, and what needs
//! one that can, is alive; the rest waits for ever.

#![forbid(unsafe_code)]

/// What a node needs before it can act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// Any one of these; of none, nobody can help.
    AnyOf(Vec<usize>),
}

/// For each node, whether it waits for ever.
pub(super) fn stuck(needs: &[Needs]) -> Vec<bool> {
    let mut stuck: Vec<bool> = needs.iter().map(|needs| *needs != Needs::Nothing).collect();
    let mut helped_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (node, needs) in needs.iter().enumerate() {
        if let Needs::AnyOf(others) = needs {
            others.iter().for_each(|other| helped_by[*other].push(node));
        }
    }
    let mut alive: Vec<usize> = (0..needs.len()).filter(|node| !stuck[*node]).collect();
    while let Some(node) = alive.pop() {
        for helped in &helped_by[node] {
            if std::mem::take(&mut stuck[*helped]) {
                alive.push(*helped);
            }
        }
    }
    stuck
}

/// A cycle of stuck nodes that is reached from this one, or the one stuck node at the end of the way that nobody
/// can help.
pub(super) fn cycle(needs: &[Needs], stuck: &[bool], from: usize) -> Vec<usize> {
    let mut way = vec![from];
    loop {
        let last = *way.last().expect("it begins with one node");
        let next = match &needs[last] {
            // Not itself, if there is another: it says more.
            Needs::AnyOf(others) => {
                let mut candidates = others.iter().copied().filter(|other| stuck[*other]);
                candidates.clone().find(|other| *other != last).or_else(|| candidates.next())
            }
            Needs::Nothing => None,
        };
        let Some(next) = next else { return vec![last] };
        if let Some(start) = way.iter().position(|node| *node == next) {
            return way.split_off(start);
        }
        way.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any(others: &[usize]) -> Needs {
        Needs::AnyOf(others.to_vec())
    }

    #[test]
    fn two_locks_in_opposite_order_are_a_cycle() {
        let needs = [any(&[1]), any(&[0]), Needs::Nothing];
        let stuck = stuck(&needs);
        assert_eq!(stuck, [true, true, false]);
        assert_eq!(cycle(&needs, &stuck, 0), [0, 1]);
        assert_eq!(cycle(&needs, &stuck, 1), [1, 0]);
    }

    #[test]
    fn one_that_can_act_frees_everybody_who_needs_any_of_them() {
        let needs = [any(&[1, 2]), any(&[0, 2]), Needs::Nothing];
        assert_eq!(stuck(&needs), [false, false, false]);
        let chain = [any(&[1]), any(&[2]), any(&[3]), Needs::Nothing];
        assert_eq!(stuck(&chain), [false; 4]);
    }

    #[test]
    fn whom_nobody_can_help_is_a_cycle_of_its_own_also_behind_others() {
        let needs = [any(&[]), any(&[0])];
        let stuck = stuck(&needs);
        assert_eq!(stuck, [true, true]);
        assert_eq!(cycle(&needs, &stuck, 1), [0]);
        let itself = [any(&[0])];
        assert_eq!(cycle(&itself, &[true], 0), [0]);
    }

    proptest! {
        /// Against the definition: nobody stuck has a way, along "needs any of", to one that can act.
        #[test]
        fn exactly_those_are_stuck_who_cannot_reach_one_that_can_act(
            edges in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(0_usize..12, 0..4)), 12)
        ) {
            let needs: Vec<Needs> = edges.iter().map(|edge| {
                edge.as_ref().map_or(Needs::Nothing, |others| any(others))
            }).collect();
            let found = stuck(&needs);
            for start in 0..needs.len() {
                let (mut seen, mut open) = (vec![false; needs.len()], vec![start]);
                let mut reaches = false;
                while let Some(node) = open.pop() {
                    if std::mem::replace(&mut seen[node], true) { continue }
                    match &needs[node] {
                        Needs::Nothing => reaches = true,
                        Needs::AnyOf(others) => open.extend(others),
                    }
                }
                prop_assert_eq!(found[start], !reaches);
                if found[start] {
                    let cycle = cycle(&needs, &found, start);
                    prop_assert!(cycle.iter().all(|node| found[*node]));
                }
            }
        }
    }
}

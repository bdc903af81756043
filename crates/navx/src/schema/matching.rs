//! Which thing of the old package is which of the new one.
//!
//! The server goes by names. So what has the same name and number is one thing, then what has the same name, and only
//! then what has the same number: to go by numbers first would make of one renumbering many things that are gone.

use std::collections::{HashMap, VecDeque};

use super::model::Object;

/// Things of two packages, side by side.
pub(super) struct Pairs<T> {
    pub(super) both: Vec<(T, T)>,
    pub(super) gone: Vec<T>,
    pub(super) added: Vec<T>,
}

/// By what two things may be one; `None` where it says nothing.
pub(super) type Mark = Option<(i64, String, String)>;

/// Brings together what agrees in the first mark, then of the rest what agrees in the second, and so on.
pub(super) fn pair<T: Copy>(old: &[T], new: &[T], marks: &[&dyn Fn(&T) -> Mark]) -> Pairs<T> {
    let mut both = Vec::new();
    let (mut gone, mut added) = (old.to_vec(), new.to_vec());
    for mark in marks {
        let mut waiting: HashMap<_, VecDeque<usize>> = HashMap::new();
        for (index, item) in added.iter().enumerate() {
            if let Some(mark) = mark(item) {
                waiting.entry(mark).or_default().push_back(index);
            }
        }
        let mut found = vec![false; added.len()];
        gone.retain(|item| {
            let index = mark(item).and_then(|mark| waiting.get_mut(&mark)?.pop_front());
            let Some((other, found)) = index.and_then(|index| added.get(index).zip(found.get_mut(index)))
            else {
                return true;
            };
            both.push((*item, *other));
            *found = true;
            false
        });
        let mut found = found.into_iter();
        added.retain(|_| found.next() != Some(true));
    }
    Pairs { both, gone, added }
}

/// Objects of one kind, side by side.
pub(super) fn pair_objects<'o>(old: &[&'o Object], new: &[&'o Object]) -> Pairs<&'o Object> {
    let name = |object: &Object| folded(&object.name);
    let space = |object: &Object| folded(&object.namespace);
    pair(
        old,
        new,
        &[
            &|object| Some((object.id, name(object), space(object))),
            &|object| Some((object.id, name(object), String::new())),
            &|object| Some((0, name(object), space(object))),
            &|object| Some((0, name(object), String::new())),
            &|object| (object.id != 0).then(|| (object.id, String::new(), String::new())),
        ],
    )
}

/// A name as it compares: AL knows no case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{Mark, pair};
    use proptest::prelude::*;

    fn by_both(item: &(i64, char)) -> Mark {
        Some((item.0, item.1.to_string(), String::new()))
    }

    fn by_name(item: &(i64, char)) -> Mark {
        Some((0, item.1.to_string(), String::new()))
    }

    fn by_id(item: &(i64, char)) -> Mark {
        Some((item.0, String::new(), String::new()))
    }

    #[test]
    fn names_come_before_numbers() {
        let pairs = pair(
            &[(1, 'a'), (2, 'b')],
            &[(2, 'a'), (1, 'c')],
            &[&by_both, &by_name, &by_id],
        );
        assert_eq!(pairs.both, [((1, 'a'), (2, 'a'))]);
        assert_eq!((pairs.gone, pairs.added), (vec![(2, 'b')], vec![(1, 'c')]));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_twice(
            old in prop::collection::vec((0_i64..6, prop::char::range('a', 'f')), 0..12),
            new in prop::collection::vec((0_i64..6, prop::char::range('a', 'f')), 0..12),
        ) {
            let pairs = pair(&old, &new, &[&by_both, &by_name, &by_id]);
            let sorted = |mut items: Vec<_>| { items.sort_unstable(); items };
            let olds = pairs.both.iter().map(|(old, _)| *old).chain(pairs.gone.iter().copied()).collect();
            let news = pairs.both.iter().map(|(_, new)| *new).chain(pairs.added.iter().copied()).collect();
            prop_assert_eq!(sorted(olds), sorted(old));
            prop_assert_eq!(sorted(news), sorted(new));
            for gone in &pairs.gone {
                prop_assert!(pairs.added.iter().all(|added| added.0 != gone.0 && added.1 != gone.1));
            }
        }
    }
}

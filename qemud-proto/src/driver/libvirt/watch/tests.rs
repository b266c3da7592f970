use super::*;
use DomainChange::*;

fn sight(id: i32, paused: bool, defined: bool) -> Option<Sight> {
    Some(Sight { name: "a".to_owned(), id: Some(id).filter(|id| *id > 0), paused: Some(paused), defined })
}

#[test]
fn what_has_happened_between_two_looks_is_told_in_an_order_in_which_it_can_have_happened() {
    let (off, on, paused) = (sight(0, false, true), sight(1, false, true), sight(1, true, true));
    let (again, transient) = (sight(2, true, true), sight(1, false, false));
    for (before, now, expected) in [
        (&None, &off, vec![(Defined, None)]),
        (&None, &on, vec![(Defined, None), (Started, Some(1))]),
        (&None, &transient, vec![(Started, Some(1))]),
        (&off, &on, vec![(Started, Some(1))]),
        (&off, &paused, vec![(Started, Some(1)), (Suspended, Some(1))]),
        (&on, &on, vec![]),
        (&on, &paused, vec![(Suspended, Some(1))]),
        (&paused, &paused, vec![]),
        (&paused, &on, vec![(Resumed, Some(1))]),
        (&paused, &off, vec![(Stopped, Some(1))]),
        (&paused, &again, vec![(Stopped, Some(1)), (Started, Some(2)), (Suspended, Some(2))]),
        (&on, &transient, vec![(Undefined, Some(1))]),
        (&transient, &on, vec![(Defined, Some(1))]),
        (&transient, &off, vec![(Stopped, Some(1)), (Defined, None)]),
        (&transient, &None, vec![(Stopped, Some(1))]),
        (&on, &None, vec![(Stopped, Some(1)), (Undefined, None)]),
        (&off, &None, vec![(Undefined, None)]),
        (&None, &None, vec![]),
    ] {
        assert_eq!(changes(before.as_ref(), now.as_ref()), expected, "{before:?} {now:?}");
    }
}

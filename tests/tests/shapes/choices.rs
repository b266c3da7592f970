//! Enums and unions.
use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
enum RunState {
    Running = 1,
    Paused,
    Stopped = -3,
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
#[repr(i32)]
enum Code {
    NoDomain = 42,
    NoNetwork,
    #[xdr(other)]
    Other(i32),
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = RunState)]
enum ByState {
    #[xdr(case = RunState::Running)]
    Running { pid: u32 },
    #[xdr(case = [RunState::Paused, RunState::Stopped])]
    Idle(#[xdr(tag)] RunState),
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = bool)]
enum Maybe {
    #[xdr(case = true)]
    Yes(u32),
    #[xdr(case = false)]
    No,
}

#[test]
fn an_enum_is_its_value_and_an_unknown_value_is_an_error() {
    both_ways(&RunState::Paused, &bytes(&[2]));
    both_ways(&RunState::Stopped, &bytes(&[(-3_i32) as u32]));
    let error = xdr_core::from_slice::<RunState>(&bytes(&[4])).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnknownEnumValue(4));
    both_ways(&Code::NoNetwork, &bytes(&[43]));
    both_ways(&Code::Other(-7), &bytes(&[(-7_i32) as u32]));
    let error = xdr_core::to_vec(&Code::Other(43)).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TagOfAnotherArm(43));
}

#[test]
fn a_union_is_its_discriminant_and_the_arm() {
    both_ways(&Value::Int(-1), &bytes(&[1, u32::MAX]));
    both_ways(&Value::Flag { tag: 6, bits: 5, name: String::new() }, &bytes(&[6, 5, 0]));
    both_ways(&Value::None, &bytes(&[9]));
    both_ways(&Value::Other { tag: u32::MAX }, &bytes(&[u32::MAX]));
    both_ways(&ByState::Running { pid: 3 }, &bytes(&[1, 3]));
    both_ways(&ByState::Idle(RunState::Paused), &bytes(&[2]));
    both_ways(&Maybe::Yes(1), &bytes(&[1, 1]));
    both_ways(&Maybe::No, &bytes(&[0]));
    let error = xdr_core::to_vec(&Value::Flag { tag: 1, bits: 0, name: String::new() }).unwrap_err();
    assert_eq!(error.to_string(), "Value: tag 1 belongs to another arm");
    let error = xdr_core::to_vec(&Value::Other { tag: 2 }).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TagOfAnotherArm(2));
    let error = xdr_core::from_slice::<Maybe>(&bytes(&[2])).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::InvalidBool(2));
    let error = xdr_core::from_slice::<ByState>(&bytes(&[7])).unwrap_err();
    assert_eq!(error.to_string(), "ByState: enum has no value 7, at byte 0");
}

//! What it costs to say what each byte means.
use super::*;
use xdr_core::{annotate, annotate_with};

/// What a short name on the wire makes the longest paths of.
#[derive(Debug, Xdr)]
struct Deep {
    inner_value_of_a_long_name: Option<Box<Deep>>,
}

/// Checks within checks, and no name among them.
#[derive(Debug, Xdr)]
#[xdr(transparent, validate = all_are_welcome)]
struct Checked(Option<Box<Checked>>);

fn all_are_welcome(_: &Checked) -> bool {
    true
}

/// The heap that is besides: the path of the last annotation, the room for it, and what is still to be walked.
const BESIDES_ANNOTATIONS: usize = 64 * 1024;

#[test]
fn survives_annotations_of_what_nests_deeply_within_the_heap_limit() {
    on_a_small_stack(|| {
        let deep = words(&[1]).repeat(140_000);
        let blob = [words(&[40_000]), vec![0xff; 40_000]].concat();
        let texts = [words(&[1000]), words(&[12, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff]).repeat(1000)].concat();
        #[derive(Debug, Xdr)]
        struct Blob {
            #[xdr(unbounded)]
            _blob: Vec<u8>,
        }
        #[derive(Debug, Xdr)]
        struct Texts {
            #[xdr(unbounded, item(unbounded))]
            _texts: Vec<String>,
        }
        for (schema, wire) in [
            (<Deep as Encode>::schema(), &deep),
            (<Tree as Encode>::schema(), &deep),
            (<Checked as Encode>::schema(), &deep),
            (<Blob as Encode>::schema(), &blob),
            (<Texts as Encode>::schema(), &texts),
        ] {
            for heap in [0, 1000, 30_000, 1 << 20, 16 << 20, 19 << 20] {
                let (annotations, peak) = measured(|| annotate_with(schema, wire, Limits::default().with_heap(heap)));
                assert!(peak <= heap + BESIDES_ANNOTATIONS, "{}: {peak} bytes for {heap}", schema.name);
                let told: usize = annotations.iter().map(|annotation| annotation.bytes.len()).sum();
                let ended = annotations.last().unwrap().meaning.starts_with("the annotations end");
                assert_eq!(ended, told < wire.len(), "{}: {told} of {} bytes", schema.name, wire.len());
                assert!(told > 0 || heap < 40_000, "{}: nothing is told", schema.name);
            }
        }
    });
}

#[test]
fn the_default_limits_hold_for_annotations_as_well() {
    on_a_small_stack(|| {
        let deep = words(&[1]).repeat(1_000_000);
        let (annotations, peak) = measured(|| annotate(<Deep as Encode>::schema(), &deep));
        assert!(peak <= Limits::DEFAULT.heap() + BESIDES_ANNOTATIONS, "{peak} bytes");
        let last = annotations.last().unwrap();
        assert_eq!((&*last.path, last.offset), ("Deep", 4 * (annotations.len() - 1)));
        // Deeper than what is decoded.
        assert!(annotations.len() > 300, "{} annotations", annotations.len());
    });
}

//! Definitions as text, in an order that C takes.
//!
//! The tag of a struct or union may be named ahead of its definition, as long as it is only pointed to. All else has to
//! be there before: an enum or `typedef` before it is named, and a struct or union before it is a part of something.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Declaration, Definition, ExportError, Form, Kind, Member, Specifier};

/// Something that has to stand before.
#[derive(Clone, Copy)]
struct Need {
    place: usize,
    /// Only its name is needed, which of a struct would be known.
    name: bool,
}

impl Definition {
    const fn is_tagged(&self) -> bool {
        matches!(self.kind, Kind::Struct(_) | Kind::Union { .. })
    }

    /// What it refers to, in the order of its text, and whether only the name.
    fn references(&self) -> Vec<(usize, bool)> {
        let of_declaration = |declaration: &Declaration, alias: bool| match declaration.specifier {
            Specifier::Named(place) => {
                let pointed = matches!(declaration.form, Form::Variable(_) | Form::Pointer);
                Some((place, pointed || alias && matches!(declaration.form, Form::Plain)))
            }
            Specifier::Word(_) => None,
        };
        match &self.kind {
            Kind::Begun | Kind::Nothing | Kind::Enum(_) => Vec::new(),
            Kind::Struct(members) => {
                members.iter().filter_map(|member| of_declaration(&member.declaration, false)).collect()
            }
            Kind::Union { switch, arms } => {
                let switch = match switch {
                    Specifier::Named(place) => Some((*place, false)),
                    Specifier::Word(_) => None,
                };
                let members = arms.iter().filter_map(|arm| arm.member.as_ref());
                switch
                    .into_iter()
                    .chain(members.filter_map(|member| of_declaration(&member.declaration, false)))
                    .collect()
            }
            Kind::Typedef(declaration) => of_declaration(declaration, true).into_iter().collect(),
        }
    }
}

/// What a reference needs: nothing, if it points to a struct; with a part, all that another name of it stands for.
fn needs_of(definitions: &[Definition], (place, name): (usize, bool)) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut next = Some(place);
    while let Some(place) = next.take()
        && let Some(definition) = definitions.get(place)
    {
        if name && definition.is_tagged() || needs.iter().any(|need: &Need| need.place == place) {
            break;
        }
        needs.push(Need { place, name });
        if let Kind::Typedef(Declaration { specifier: Specifier::Named(of), form: Form::Plain }) = definition.kind
            && !name
        {
            next = Some(of);
        }
    }
    needs
}

fn needs(definitions: &[Definition], place: usize) -> Vec<Need> {
    let references = definitions.get(place).map(Definition::references).unwrap_or_default();
    references.into_iter().flat_map(|reference| needs_of(definitions, reference)).collect()
}

/// Makes structs of the typedefs that would have to stand before themselves.
///
/// # Errors
/// When a struct would have to stand before itself: it is a part of itself.
pub(super) fn break_circles(definitions: &mut [Definition]) -> Result<(), ExportError> {
    while let Some(circle) = circle(definitions) {
        let typedef = circle.iter().find(|need| need.name).and_then(|need| definitions.get_mut(need.place));
        match typedef {
            Some(Definition { kind, .. }) => {
                if let Kind::Typedef(declaration) = core::mem::replace(kind, Kind::Begun) {
                    *kind = Kind::Struct(vec![Member { name: "item".to_owned(), declaration }]);
                }
            }
            None => {
                let mut parts = circle.iter().filter_map(|need| definitions.get(need.place));
                let name = parts.clone().find(|part| part.is_tagged()).or_else(|| parts.next());
                return Err(ExportError { name: name.map(|part| part.name.clone()).unwrap_or_default() });
            }
        }
    }
    Ok(())
}

/// Definitions of which each needs the next, and the last the first.
fn circle(definitions: &[Definition]) -> Option<Vec<Need>> {
    let mut done = vec![false; definitions.len()];
    for root in 0..definitions.len() {
        // The way to where the search is, and what is still to be looked at from each step on.
        let mut way = vec![(Need { place: root, name: false }, needs(definitions, root))];
        while let Some((here, left)) = way.last_mut() {
            let here = here.place;
            match left.pop() {
                _ if done.get(here).is_none_or(|done| *done) => {
                    way.pop();
                }
                None => {
                    if let Some(done) = done.get_mut(here) {
                        *done = true;
                    }
                    way.pop();
                }
                Some(need) => match way.iter().position(|(step, _)| step.place == need.place) {
                    Some(first) => {
                        let steps = way.iter().skip(first.saturating_add(1)).map(|(step, _)| *step);
                        return Some(core::iter::once(need).chain(steps).collect());
                    }
                    None => way.push((need, needs(definitions, need.place))),
                },
            }
        }
    }
    None
}

/// The texts of the definitions.
pub(super) fn in_order(definitions: &[Definition]) -> Vec<String> {
    let states = vec![State::Waiting; definitions.len()];
    let mut order = Order { definitions, states, later: Vec::new(), texts: Vec::new() };
    for place in 0..definitions.len() {
        order.define(place);
    }
    order.texts
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Open,
    Defined,
}

struct Order<'a> {
    definitions: &'a [Definition],
    states: Vec<State>,
    /// What waits until something open that it needs is defined.
    later: Vec<usize>,
    texts: Vec<String>,
}

impl Order<'_> {
    fn state(&self, place: usize) -> State {
        self.states.get(place).copied().unwrap_or(State::Defined)
    }

    fn define(&mut self, place: usize) {
        let definitions = self.definitions;
        let (Some(definition), State::Waiting) = (definitions.get(place), self.state(place)) else { return };
        self.set(place, State::Open);
        for reference in definition.references() {
            let needs = needs_of(definitions, reference);
            for need in &needs {
                self.define(need.place);
            }
            // What is only pointed to is defined before where that is possible.
            let pointed = reference.0;
            if needs.is_empty() && self.state(pointed) == State::Waiting {
                if self.is_ready(pointed) {
                    self.define(pointed);
                } else if !self.later.contains(&pointed) {
                    self.later.push(pointed);
                }
            }
        }
        let text = self.text(place, definition);
        self.texts.extend(text);
        self.set(place, State::Defined);
        while let Some(ready) = self.later.iter().position(|later| self.is_ready(*later)) {
            let ready = self.later.remove(ready);
            self.define(ready);
        }
    }

    fn set(&mut self, place: usize, state: State) {
        if let Some(known) = self.states.get_mut(place) {
            *known = state;
        }
    }

    /// Whether nothing that is open has to stand before.
    fn is_ready(&self, place: usize) -> bool {
        let mut all = vec![place];
        let mut index = 0_usize;
        while let Some(place) = all.get(index).copied() {
            if self.state(place) == State::Open {
                return false;
            }
            for need in needs(self.definitions, place) {
                if !all.contains(&need.place) {
                    all.push(need.place);
                }
            }
            index = index.saturating_add(1);
        }
        true
    }

    fn text(&self, place: usize, definition: &Definition) -> Option<String> {
        let name = &definition.name;
        let member = |member: &Member| format!("    {};\n", self.declared(place, &member.declaration, &member.name));
        match &definition.kind {
            Kind::Begun | Kind::Nothing => None,
            Kind::Enum(values) => {
                let lines: Vec<_> = values.iter().map(|(name, value)| format!("    {name} = {value}")).collect();
                Some(format!("enum {name} {{\n{}\n}};\n", lines.join(",\n")))
            }
            Kind::Struct(members) => {
                Some(format!("struct {name} {{\n{}}};\n", members.iter().map(member).collect::<String>()))
            }
            Kind::Union { switch, arms } => {
                let switch = self.specifier(switch);
                let arm = |arm: &super::Arm| {
                    let member = arm.member.as_ref().map_or_else(|| "    void;\n".to_owned(), member);
                    format!("{}{member}", arm.labels)
                };
                let arms: String = arms.iter().map(arm).collect();
                Some(format!("union {name} switch ({switch} discriminant) {{\n{arms}}};\n"))
            }
            Kind::Typedef(declaration) => Some(format!("typedef {};\n", self.declared(place, declaration, name))),
        }
    }

    /// `string name<256>`
    fn declared(&self, within: usize, declaration: &Declaration, name: &str) -> String {
        let specifier = self.specifier(&declaration.specifier);
        match declaration.form {
            Form::Plain => format!("{specifier} {name}"),
            Form::Fixed(len) => format!("{specifier} {name}[{len}]"),
            Form::Variable(max) if max >= u32::MAX as usize => format!("{specifier} {name}<>"),
            Form::Variable(max) => format!("{specifier} {name}<{max}>"),
            Form::Pointer => {
                // To what it declares itself rpcgen points without the word.
                let itself = matches!(declaration.specifier, Specifier::Named(place) if place == within);
                let specifier = specifier.strip_prefix("struct ").filter(|_| itself).unwrap_or(&specifier);
                format!("{specifier} *{name}")
            }
        }
    }

    fn specifier(&self, specifier: &Specifier) -> String {
        match *specifier {
            Specifier::Word(word) => word.to_owned(),
            Specifier::Named(place) => match self.definitions.get(place) {
                Some(definition) if definition.is_tagged() && self.state(place) != State::Defined => {
                    format!("struct {}", definition.name)
                }
                Some(definition) => definition.name.clone(),
                None => String::new(),
            },
        }
    }
}

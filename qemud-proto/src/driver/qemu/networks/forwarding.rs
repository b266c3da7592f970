//! Forwarding with address translation: rules of nftables, in a table of the network's own.

use std::fmt::Write;

use nftables::batch::Batch;
use nftables::expr::{CT, Expression, Meta, MetaKey, NamedExpression, Payload, PayloadField, Prefix, SetItem};
use nftables::schema::{Chain, NfListObject, Nftables, Rule, Table};
use nftables::stmt::{Match, Operator, Statement};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};

use super::plan::{ForwardPlan, Plan, Subnet};
use crate::driver::qemu::programs::{self, Programs};
use crate::failure::Reply;

/// IPv6 is kept off these bridges.
const FAMILY: NfFamily = NfFamily::IP;
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
/// nftables' `filter`.
const FILTER: i32 = 0;
/// nftables' `srcnat`.
const SOURCE_TRANSLATION: i32 = 100;

/// Puts the rules of a network into force, in the place of those that it may have.
pub(super) async fn begin(plan: &Plan, forward: &ForwardPlan, programs: &Programs) -> Reply<()> {
    let table = table(&plan.bridge);
    let rules = rules(&table, &plan.bridge, forward);
    nft(plan, FAILED, &Given::Rules(&rules), programs).await?;
    // Where its standard input is not what /dev/stdin names, nft ends well and has done nothing.
    nft(plan, FAILED, &Given::Question(&table), programs).await
}

/// What a network without its rules is.
const FAILED: &str = "cannot forward";

/// What nft is given.
enum Given<'a> {
    /// Changes, of which all are made or none.
    Rules(&'a Nftables<'a>),
    /// Whether a table is complete: its last chain is there.
    Question(&'a str),
}

/// Removes the rules of a network; no error where there are none.
pub(super) async fn end(plan: &Plan, programs: &Programs) -> Reply<()> {
    let table = table(&plan.bridge);
    let removal = removal(&table).to_nftables();
    nft(plan, "cannot end forwarding", &Given::Rules(&removal), programs).await
}

async fn nft(plan: &Plan, what: &str, given: &Given<'_>, programs: &Programs) -> Reply<()> {
    let Some(nft) = programs.find("nft") else {
        return Err(plan.failed(what, &"the program nft is missing (nftables)"));
    };
    let (arguments, input) = match given {
        Given::Rules(rules) => {
            let rules = serde_json::to_vec(rules).map_err(|error| plan.failed(what, &error))?;
            (["-j", "-f", "-"].map(Into::into).to_vec(), rules)
        }
        Given::Question(table) => (["list", "chain", "ip", *table, POSTROUTING].map(Into::into).to_vec(), Vec::new()),
    };
    programs::run(&nft, &arguments, &input).await.map_err(|why| plan.failed(what, &why))
}

/// The name of the table for a bridge: what is no letter or digit becomes `_` and its number, so that two bridges never
/// have one table.
pub(super) fn table(bridge: &str) -> String {
    let mut table = "guestd_".to_owned();
    for byte in bridge.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => table.push(char::from(byte)),
            // Writing to a string does not fail.
            false => _ = write!(table, "_{byte:02x}"),
        }
    }
    table
}

/// Only what exists can be deleted.
fn removal(table: &str) -> Batch<'_> {
    let object = || NfListObject::Table(Table { family: FAMILY, name: table.into(), handle: None });
    let mut batch = Batch::new();
    batch.add(object());
    batch.delete(object());
    batch
}

/// All that guests send goes out under the host's address, and what answers it comes back; nothing else passes.
fn rules<'a>(table: &'a str, bridge: &'a str, forward: &'a ForwardPlan) -> Nftables<'a> {
    let (dev, subnet) = (forward.dev.as_deref(), forward.subnet);
    let by = |key, interface: &'a str| is(meta(key), Operator::EQ, Expression::String(interface.into()));
    let (from, to) = (by(MetaKey::Iifname, bridge), by(MetaKey::Oifname, bridge));
    let known = [Expression::String("established".into()), Expression::String("related".into())];
    let state = Expression::Named(NamedExpression::CT(CT { key: "state".into(), family: None, dir: None }));

    let mut batch = removal(table);
    batch.add(NfListObject::Table(Table { family: FAMILY, name: table.into(), handle: None }));
    batch.add(chain(table, FORWARD, NfChainType::Filter, NfHook::Forward, FILTER));
    batch.add(chain(table, POSTROUTING, NfChainType::NAT, NfHook::Postrouting, SOURCE_TRANSLATION));
    let mut rule = |chain: &'static str, statements: Vec<Option<Statement<'a>>>| {
        let expr: Vec<_> = statements.into_iter().flatten().collect();
        batch.add(NfListObject::Rule(Rule {
            family: FAMILY,
            table: table.into(),
            chain: chain.into(),
            expr: expr.into(),
            ..Rule::default()
        }));
    };
    // Where bridges are filtered too, what guests send each other comes by here.
    rule(FORWARD, vec![Some(from.clone()), Some(to.clone()), Some(Statement::Accept(None))]);
    rule(
        FORWARD,
        vec![
            Some(from.clone()),
            dev.map(|dev| by(MetaKey::Oifname, dev)),
            Some(is(ip("saddr"), Operator::EQ, network(subnet))),
            Some(Statement::Accept(None)),
        ],
    );
    rule(
        FORWARD,
        vec![
            dev.map(|dev| by(MetaKey::Iifname, dev)),
            Some(to.clone()),
            Some(is(ip("daddr"), Operator::EQ, network(subnet))),
            Some(is(state, Operator::IN, Expression::List(known.to_vec()))),
            Some(Statement::Accept(None)),
        ],
    );
    rule(FORWARD, vec![Some(from), Some(Statement::Reject(None))]);
    rule(FORWARD, vec![Some(to), Some(Statement::Reject(None))]);
    // Neither what stays in the network nor what is for all of a link.
    let inside = [network(subnet), prefix("224.0.0.0", 4), Expression::String("255.255.255.255".into())];
    let inside = NamedExpression::Set(inside.into_iter().map(SetItem::Element).collect());
    rule(
        POSTROUTING,
        vec![
            dev.map(|dev| by(MetaKey::Oifname, dev)),
            Some(is(ip("saddr"), Operator::EQ, network(subnet))),
            Some(is(ip("daddr"), Operator::NEQ, Expression::Named(inside))),
            Some(Statement::Masquerade(None)),
        ],
    );
    batch.to_nftables()
}

fn chain<'a>(table: &'a str, name: &'a str, kind: NfChainType, hook: NfHook, priority: i32) -> NfListObject<'a> {
    NfListObject::Chain(Chain {
        family: FAMILY,
        table: table.into(),
        name: name.into(),
        _type: Some(kind),
        hook: Some(hook),
        prio: Some(priority),
        policy: Some(NfChainPolicy::Accept),
        ..Chain::default()
    })
}

fn is<'a>(left: Expression<'a>, op: Operator, right: Expression<'a>) -> Statement<'a> {
    Statement::Match(Match { left, right, op })
}

fn meta<'a>(key: MetaKey) -> Expression<'a> {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

fn ip(field: &str) -> Expression<'_> {
    let field = PayloadField { protocol: "ip".into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

fn network<'a>(subnet: Subnet) -> Expression<'a> {
    prefix(&subnet.base().to_string(), u32::from(subnet.prefix))
}

fn prefix<'a>(address: &str, len: u32) -> Expression<'a> {
    let addr = Box::new(Expression::String(address.to_owned().into()));
    Expression::Named(NamedExpression::Prefix(Prefix { addr, len }))
}

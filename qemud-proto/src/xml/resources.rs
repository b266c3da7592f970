//! Memory and virtual processors of a domain.

use super::element::Element;
use crate::failure::Reply;

/// Most virtual processors.
const VCPUS_MAX: u64 = 1024;

/// `memory` and `currentMemory` in KiB.
pub(super) fn memory(root: Element<'_>) -> Reply<(u32, u32)> {
    let most = root.required("memory")?;
    let memory = kibibytes(most)?;
    let Some(element) = root.child("currentMemory")? else {
        return Ok((memory, memory));
    };
    let current = kibibytes(element)?;
    if current > memory {
        return Err(
            element.refuse(format_args!("currentMemory of {current} KiB is more than the memory of {memory} KiB"))
        );
    }
    Ok((memory, current))
}

fn kibibytes(element: Element<'_>) -> Reply<u32> {
    const UNITS: &[(&str, u64)] = &[
        ("b", 1),
        ("bytes", 1),
        ("KB", 1000),
        ("k", 1 << 10),
        ("KiB", 1 << 10),
        ("MB", 1_000_000),
        ("M", 1 << 20),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("G", 1 << 30),
        ("GiB", 1 << 30),
        ("TB", 1_000_000_000_000),
        ("T", 1 << 40),
        ("TiB", 1 << 40),
    ];
    element.only(&["unit"], &[])?;
    let unit = element.choice("unit", UNITS)?.unwrap_or(1 << 10);
    let number = element.number(&element.text()?, 1, u64::MAX)?;
    let kibibytes = number.checked_mul(unit).map(|bytes| bytes.div_ceil(1024));
    kibibytes
        .and_then(|kibibytes| u32::try_from(kibibytes).ok())
        .ok_or_else(|| element.refuse(format_args!("{} is more than {} KiB", element.name(), u32::MAX)))
}

/// `vcpu`, one if absent.
pub(super) fn vcpus(root: Element<'_>) -> Reply<u16> {
    let Some(element) = root.child("vcpu")? else {
        return Ok(1);
    };
    element.only(&["placement"], &[])?;
    element.choice("placement", &[("static", ())])?;
    let number = element.number(&element.text()?, 1, VCPUS_MAX)?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests;

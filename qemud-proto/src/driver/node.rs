//! The machine the daemon runs on, as the kernel describes it below `/proc` and `/sys`.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::thread;

use crate::failure::cut;
use crate::messages::{MODEL_MAX, NodeInfo};

/// Describes this machine; what the kernel does not tell is 0, or 1 where it counts parts.
///
/// The model is the machine's architecture (`x86_64`), as libvirt's clients know it. This reads files of
/// the kernel and so blocks for a moment.
#[must_use]
pub fn node_info() -> NodeInfo {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let arch = match read("/proc/sys/kernel/arch").trim() {
        "" => std::env::consts::ARCH.to_owned(),
        arch => arch.to_owned(),
    };
    let nodes = fs::read_dir("/sys/devices/system/node").map_or(0, |folder| {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        folder.flatten().filter_map(name).filter(|name| is_node(name)).count()
    });
    let mut info = describe(&read("/proc/cpuinfo"), &read("/proc/meminfo"), nodes, arch);
    if info.cpus == 0 {
        info.cpus = narrow(thread::available_parallelism().map_or(1, NonZero::get));
    }
    info
}

fn is_node(name: &str) -> bool {
    name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok())
}

fn describe(cpuinfo: &str, meminfo: &str, nodes: usize, mut model: String) -> NodeInfo {
    cut(&mut model, MODEL_MAX);
    let pairs = |text: &str| -> Vec<(String, String)> {
        let pair = |line: &str| {
            let (key, value) = line.split_once(':')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        text.lines().filter_map(pair).collect()
    };
    let processors = pairs(cpuinfo);
    let first = |pairs: &[(String, String)], key: &str| -> Option<u32> {
        let (_, value) = pairs.iter().find(|(name, _)| name == key)?;
        let digits = value.split(|letter: char| !letter.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok())
    };
    let cpus = narrow(processors.iter().filter(|(key, _)| key == "processor").count());
    let packages: BTreeSet<_> = processors.iter().filter(|(key, _)| key == "physical id").map(|(_, id)| id).collect();
    let nodes = narrow(nodes).max(1);
    let sockets = (narrow(packages.len()) / nodes).max(1);
    let cores = first(&processors, "cpu cores").unwrap_or(cpus / nodes / sockets).max(1);
    let threads = first(&processors, "siblings").map_or(1, |siblings| (siblings / cores).max(1));
    NodeInfo {
        model,
        memory: first(&pairs(meminfo), "MemTotal").unwrap_or(0),
        cpus,
        mhz: first(&processors, "cpu MHz").unwrap_or(0),
        nodes,
        sockets,
        cores,
        threads,
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor(number: u32, package: u32) -> String {
        format!(
            "processor\t: {number}\nmodel name\t: Quick CPU\ncpu MHz\t\t: 2300.250\n\
             physical id\t: {package}\nsiblings\t: 4\ncpu cores\t: 2\n\n"
        )
    }

    #[test]
    fn a_machine_of_two_sockets_is_described() {
        let cpuinfo: String = (0..8).map(|number| processor(number, number / 4)).collect();
        let meminfo = "MemTotal:       24684092 kB\nMemFree:  1 kB\n";
        let info = describe(&cpuinfo, meminfo, 1, "x86_64".to_owned());
        let expected = NodeInfo {
            model: "x86_64".to_owned(),
            memory: 24_684_092,
            cpus: 8,
            mhz: 2300,
            nodes: 1,
            sockets: 2,
            cores: 2,
            threads: 2,
        };
        assert_eq!(info, expected);
        assert_eq!(describe(&cpuinfo, meminfo, 2, String::new()).sockets, 1);
    }

    #[test]
    fn a_kernel_that_tells_nothing_gives_no_zero_where_parts_are_counted() {
        let info = describe("processor : 0\nprocessor : 1\nBogoMIPS: 50", "", 0, "é".repeat(20));
        assert_eq!((info.cpus, info.nodes, info.sockets, info.cores, info.threads), (2, 1, 1, 2, 1));
        assert_eq!((info.memory, info.mhz), (0, 0));
        assert_eq!(info.model.len(), MODEL_MAX);
        assert_eq!(describe("", "", 0, "é".repeat(20) + "x").model, "é".repeat(16));
    }

    #[test]
    fn folders_beside_the_nodes_are_not_counted() {
        assert!(is_node("node0") && is_node("node12"));
        assert!(!is_node("node") && !is_node("online") && !is_node("nodes"));
    }

    #[test]
    fn this_machine_has_processors_and_memory() {
        let info = node_info();
        assert!(info.cpus >= 1 && info.memory > 0 && !info.model.is_empty(), "{info:?}");
    }
}

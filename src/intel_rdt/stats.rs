//! What the machine counts for the container's group in resctrl (resctrl.rst), and what there is to be had.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

/// Cache and memory bandwidth (resctrl.rst).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is a file, or a line, of the same name in resctrl.rst")]
pub struct IntelRdtStats {
    pub l3_cache_info: Option<L3CacheInfo>,
    pub l3_cache_schema_root: String,
    pub l3_cache_schema: String,
    pub mem_bw_info: Option<MemBwInfo>,
    pub mem_bw_schema_root: String,
    pub mem_bw_schema: String,
    /// By memory node: total and local bytes.
    pub mbm: Option<Vec<(u64, u64)>>,
    /// By memory node: bytes of cache in use.
    pub cmt: Option<Vec<u64>>,
}

/// What the machine's cache can be divided into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the file of the same name in resctrl.rst")]
pub struct L3CacheInfo {
    pub cbm_mask: String,
    pub min_cbm_bits: u64,
    pub num_closids: u64,
}

/// What the machine's memory bandwidth can be divided into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the file of the same name in resctrl.rst")]
pub struct MemBwInfo {
    pub bandwidth_gran: u64,
    pub delay_linear: u64,
    pub min_bandwidth: u64,
    pub num_closids: u64,
}

/// Reads what there is of `group`, below the mount point `root`.
pub(crate) fn read(root: &Path, group: &Path) -> IntelRdtStats {
    let text = |path: &Path, name: &str| fs::read_to_string(path.join(name)).ok();
    let line = |path: &Path, kind: &str| {
        let schemata = text(path, "schemata").unwrap_or_default();
        // COMPAT(runc): of several lines the last counts.
        schemata.lines().rfind(|line| line.contains(kind)).unwrap_or_default().trim().to_owned()
    };
    let mut stats = IntelRdtStats::default();
    let info = root.join("info");
    let number = |of: &str, name: &str| {
        text(&info.join(of), name).and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    };
    if info.join("L3").exists() {
        stats.l3_cache_info = Some(L3CacheInfo {
            cbm_mask: text(&info.join("L3"), "cbm_mask").unwrap_or_default().trim().to_owned(),
            min_cbm_bits: number("L3", "min_cbm_bits"),
            num_closids: number("L3", "num_closids"),
        });
        (stats.l3_cache_schema_root, stats.l3_cache_schema) = (line(root, "L3"), line(group, "L3"));
    }
    if info.join("MB").exists() {
        stats.mem_bw_info = Some(MemBwInfo {
            bandwidth_gran: number("MB", "bandwidth_gran"),
            delay_linear: number("MB", "delay_linear"),
            min_bandwidth: number("MB", "min_bandwidth"),
            num_closids: number("MB", "num_closids"),
        });
        (stats.mem_bw_schema_root, stats.mem_bw_schema) = (line(root, "MB"), line(group, "MB"));
    }
    monitor(&info, group, &mut stats);
    stats
}

/// A node that cannot be counted just now says `Unavailable`: 0.
fn monitor(info: &Path, group: &Path, stats: &mut IntelRdtStats) {
    let features = fs::read_to_string(info.join("L3_MON/mon_features")).unwrap_or_default();
    let has = |name: &str| features.lines().any(|line| line == name);
    let mut nodes: Vec<_> = fs::read_dir(group.join("mon_data"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    nodes.sort();
    let number = |node: &Path, name: &str| {
        fs::read_to_string(node.join(name)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    };
    if has("mbm_total_bytes") || has("mbm_local_bytes") {
        let bytes =
            |node: &std::path::PathBuf| (number(node, "mbm_total_bytes"), number(node, "mbm_local_bytes"));
        stats.mbm = Some(nodes.iter().map(bytes).collect());
    }
    if has("llc_occupancy") {
        stats.cmt = Some(nodes.iter().map(|node| number(node, "llc_occupancy")).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_beside_the_root_and_a_node_that_cannot_be_counted_is_zero() {
        let root = std::env::temp_dir().join(format!("riverrun-resctrl-stats-{}", std::process::id()));
        let file = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n");
        file("c/schemata", "    MB:0=20;1=70\n    L3:0=7f;1=f\n");
        file("info/L3/cbm_mask", "fffff\n");
        file("info/L3/min_cbm_bits", "1\n");
        file("info/MB/bandwidth_gran", "10\n");
        file("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n");
        file("c/mon_data/mon_L3_00/mbm_total_bytes", "7\n");
        file("c/mon_data/mon_L3_00/mbm_local_bytes", "5\n");
        file("c/mon_data/mon_L3_00/llc_occupancy", "3\n");
        file("c/mon_data/mon_L3_01/mbm_total_bytes", "Unavailable\n");
        let stats = read(&root, &root.join("c"));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            (stats.l3_cache_schema_root.as_str(), stats.l3_cache_schema.as_str()),
            ("L3:0=fffff;1=fffff", "L3:0=7f;1=f")
        );
        assert_eq!(stats.mem_bw_schema, "MB:0=20;1=70");
        assert_eq!(stats.mem_bw_info.unwrap().bandwidth_gran, 10);
        assert_eq!((stats.mbm.unwrap(), stats.cmt.unwrap()), (vec![(7, 5), (0, 0)], vec![3, 0]));
    }
}

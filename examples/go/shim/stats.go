package main

import (
	"encoding/json"
	"math"

	v1 "github.com/containerd/cgroups/stats/v1"
	v2 "github.com/containerd/cgroups/v2/stats"
	"golang.org/x/sys/unix"

	riverrun "github.com/riverrun/riverrun/bindings/go"
)

// document is what of the library's statistics containerd has a place for: runc's names and units.
type document struct {
	CPU struct {
		Usage struct {
			Total  uint64   `json:"total"`
			PerCPU []uint64 `json:"percpu"`
			Kernel uint64   `json:"kernel"`
			User   uint64   `json:"user"`
		} `json:"usage"`
		Throttling struct {
			Periods          uint64 `json:"periods"`
			ThrottledPeriods uint64 `json:"throttledPeriods"`
			ThrottledTime    uint64 `json:"throttledTime"`
		} `json:"throttling"`
	} `json:"cpu"`
	Memory struct {
		Usage     entry             `json:"usage"`
		Swap      entry             `json:"swap"`
		Kernel    entry             `json:"kernel"`
		KernelTCP entry             `json:"kernelTCP"`
		Raw       map[string]uint64 `json:"raw"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current"`
		Limit   uint64 `json:"limit"`
	} `json:"pids"`
	Blkio struct {
		ServiceBytes []device `json:"ioServiceBytesRecursive"`
		Serviced     []device `json:"ioServicedRecursive"`
		Queued       []device `json:"ioQueueRecursive"`
		ServiceTime  []device `json:"ioServiceTimeRecursive"`
		WaitTime     []device `json:"ioWaitTimeRecursive"`
		Merged       []device `json:"ioMergedRecursive"`
		Time         []device `json:"ioTimeRecursive"`
		Sectors      []device `json:"sectorsRecursive"`
	} `json:"blkio"`
	Hugetlb map[string]entry `json:"hugetlb"`
}

type entry struct{ Limit, Usage, Max, Failcnt uint64 }

type device struct {
	Major, Minor, Value uint64
	Op                  string
}

// metrics are the container's numbers in the message for this host's version of cgroups, which containerd's clients tell apart.
func (c *container) metrics() (interface{}, error) {
	handle, err := c.live()
	if err != nil {
		return nil, err
	}
	text, err := handle.StatsDocument()
	if err != nil {
		return nil, err
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	var filesystem unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &filesystem); err != nil {
		return nil, err
	}
	if filesystem.Type == unix.CGROUP2_SUPER_MAGIC {
		return d.v2(handle)
	}
	return d.v1(), nil
}

func (d *document) v1() *v1.Metrics {
	raw := d.Memory.Raw
	m := &v1.Metrics{
		Pids: &v1.PidsStat{Current: d.Pids.Current, Limit: d.Pids.Limit},
		CPU: &v1.CPUStat{
			Usage: &v1.CPUUsage{
				Total: d.CPU.Usage.Total, Kernel: d.CPU.Usage.Kernel, User: d.CPU.Usage.User, PerCPU: d.CPU.Usage.PerCPU,
			},
			Throttling: &v1.Throttle{
				Periods: d.CPU.Throttling.Periods, ThrottledPeriods: d.CPU.Throttling.ThrottledPeriods,
				ThrottledTime: d.CPU.Throttling.ThrottledTime,
			},
		},
		Memory: &v1.MemoryStat{
			Cache: raw["cache"], RSS: raw["rss"], RSSHuge: raw["rss_huge"], MappedFile: raw["mapped_file"], Dirty: raw["dirty"],
			Writeback: raw["writeback"], PgPgIn: raw["pgpgin"], PgPgOut: raw["pgpgout"], PgFault: raw["pgfault"],
			PgMajFault: raw["pgmajfault"], InactiveAnon: raw["inactive_anon"], ActiveAnon: raw["active_anon"],
			InactiveFile: raw["inactive_file"], ActiveFile: raw["active_file"], Unevictable: raw["unevictable"],
			HierarchicalMemoryLimit: raw["hierarchical_memory_limit"], HierarchicalSwapLimit: raw["hierarchical_memsw_limit"],
			TotalCache: raw["total_cache"], TotalRSS: raw["total_rss"], TotalRSSHuge: raw["total_rss_huge"],
			TotalMappedFile: raw["total_mapped_file"], TotalDirty: raw["total_dirty"], TotalWriteback: raw["total_writeback"],
			TotalPgPgIn: raw["total_pgpgin"], TotalPgPgOut: raw["total_pgpgout"], TotalPgFault: raw["total_pgfault"],
			TotalPgMajFault: raw["total_pgmajfault"], TotalInactiveAnon: raw["total_inactive_anon"],
			TotalActiveAnon: raw["total_active_anon"], TotalInactiveFile: raw["total_inactive_file"],
			TotalActiveFile: raw["total_active_file"], TotalUnevictable: raw["total_unevictable"],
			Usage: d.Memory.Usage.v1(), Swap: d.Memory.Swap.v1(), Kernel: d.Memory.Kernel.v1(), KernelTCP: d.Memory.KernelTCP.v1(),
		},
		Blkio: &v1.BlkIOStat{
			IoServiceBytesRecursive: devices(d.Blkio.ServiceBytes), IoServicedRecursive: devices(d.Blkio.Serviced),
			IoQueuedRecursive: devices(d.Blkio.Queued), IoServiceTimeRecursive: devices(d.Blkio.ServiceTime),
			IoWaitTimeRecursive: devices(d.Blkio.WaitTime), IoMergedRecursive: devices(d.Blkio.Merged),
			IoTimeRecursive: devices(d.Blkio.Time), SectorsRecursive: devices(d.Blkio.Sectors),
		},
	}
	for size, pages := range d.Hugetlb {
		m.Hugetlb = append(m.Hugetlb, &v1.HugetlbStat{Pagesize: size, Usage: pages.Usage, Max: pages.Max, Failcnt: pages.Failcnt})
	}
	return m
}

func (d *document) v2(handle *riverrun.Container) (*v2.Metrics, error) {
	flat, err := handle.Stats()
	if err != nil {
		return nil, err
	}
	raw := d.Memory.Raw
	m := &v2.Metrics{
		Pids: &v2.PidsStat{Current: d.Pids.Current, Limit: unlimited(d.Pids.Limit)},
		CPU: &v2.CPUStat{
			UsageUsec: d.CPU.Usage.Total / 1000, UserUsec: d.CPU.Usage.User / 1000, SystemUsec: d.CPU.Usage.Kernel / 1000,
			NrPeriods: d.CPU.Throttling.Periods, NrThrottled: d.CPU.Throttling.ThrottledPeriods,
			ThrottledUsec: d.CPU.Throttling.ThrottledTime / 1000,
		},
		Memory: &v2.MemoryStat{
			Anon: raw["anon"], File: raw["file"], KernelStack: raw["kernel_stack"], Slab: raw["slab"], Sock: raw["sock"],
			Shmem: raw["shmem"], FileMapped: raw["file_mapped"], FileDirty: raw["file_dirty"], FileWriteback: raw["file_writeback"],
			AnonThp: raw["anon_thp"], InactiveAnon: raw["inactive_anon"], ActiveAnon: raw["active_anon"],
			InactiveFile: raw["inactive_file"], ActiveFile: raw["active_file"], Unevictable: raw["unevictable"],
			SlabReclaimable: raw["slab_reclaimable"], SlabUnreclaimable: raw["slab_unreclaimable"], Pgfault: raw["pgfault"],
			Pgmajfault: raw["pgmajfault"], WorkingsetRefault: raw["workingset_refault_file"],
			WorkingsetActivate:    raw["workingset_activate_file"],
			WorkingsetNodereclaim: raw["workingset_nodereclaim"], Pgrefill: raw["pgrefill"], Pgscan: raw["pgscan"],
			Pgsteal: raw["pgsteal"], Pgactivate: raw["pgactivate"], Pgdeactivate: raw["pgdeactivate"], Pglazyfree: raw["pglazyfree"],
			Pglazyfreed: raw["pglazyfreed"], ThpFaultAlloc: raw["thp_fault_alloc"], ThpCollapseAlloc: raw["thp_collapse_alloc"],
			Usage: d.Memory.Usage.Usage, UsageLimit: d.Memory.Usage.Limit,
			SwapUsage: beyond(d.Memory.Swap.Usage, d.Memory.Usage.Usage),
			SwapLimit: beyond(d.Memory.Swap.Limit, d.Memory.Usage.Limit),
		},
		MemoryEvents: &v2.MemoryEvents{OomKill: flat.MemoryOOMKill},
	}
	m.Io = &v2.IOStat{Usage: perDevice(d.Blkio.ServiceBytes, d.Blkio.Serviced)}
	for size, pages := range d.Hugetlb {
		m.Hugetlb = append(m.Hugetlb, &v2.HugeTlbStat{Pagesize: size, Current: pages.Usage, Max: pages.Max})
	}
	return m, nil
}

// beyond is how much of memory and swap together, as runc's document counts, is swap.
func beyond(both, memory uint64) uint64 {
	if both == math.MaxUint64 {
		return both
	}
	if both < memory {
		return 0
	}
	return both - memory
}

// unlimited is 0 in runc's document of either version, and the largest number in containerd's of cgroup v2.
func unlimited(limit uint64) uint64 {
	if limit == 0 {
		return math.MaxUint64
	}
	return limit
}

func (e entry) v1() *v1.MemoryEntry {
	return &v1.MemoryEntry{Limit: e.Limit, Usage: e.Usage, Max: e.Max, Failcnt: e.Failcnt}
}

func devices(all []device) []*v1.BlkIOEntry {
	var entries []*v1.BlkIOEntry
	for _, one := range all {
		entries = append(entries, &v1.BlkIOEntry{Op: one.Op, Major: one.Major, Minor: one.Minor, Value: one.Value})
	}
	return entries
}

// perDevice is a line a device, of runc's line a device and operation.
func perDevice(bytes, operations []device) []*v2.IOEntry {
	var entries []*v2.IOEntry
	of := func(one device) *v2.IOEntry {
		for _, entry := range entries {
			if entry.Major == one.Major && entry.Minor == one.Minor {
				return entry
			}
		}
		entries = append(entries, &v2.IOEntry{Major: one.Major, Minor: one.Minor})
		return entries[len(entries)-1]
	}
	add := func(all []device, read, write func(*v2.IOEntry) *uint64) {
		for _, one := range all {
			switch one.Op {
			case "Read":
				*read(of(one)) += one.Value
			case "Write":
				*write(of(one)) += one.Value
			}
		}
	}
	add(bytes, func(e *v2.IOEntry) *uint64 { return &e.Rbytes }, func(e *v2.IOEntry) *uint64 { return &e.Wbytes })
	add(operations, func(e *v2.IOEntry) *uint64 { return &e.Rios }, func(e *v2.IOEntry) *uint64 { return &e.Wios })
	return entries
}

package main

import "fmt"

// files prints the results of engines that keep sessions in files.
func (t table) files(f *filesResult) {
	t.line("\nfiles: records of %d bytes under keys of %d, without HTTP, on %s", valueSize, keySize, f.Filesystem)
	for _, op := range []string{opUnsynced, opSecond, opSynced, opMany, opFetch} {
		t.line("\n%s", op)
		t.line("%-28s %10s %9s %9s %8s %9s %9s %9s", "", "per second", "ns", "cpu ns", "allocs", "×gorilla", "×appends", "×files")
		for _, r := range f.Records {
			if r.Operation == op {
				t.line("%-28s %10.0f %9.0f %9.0f %8.0f %9s %9s %9s", r.Subject, 1e9/r.NS, r.NS, r.CPU, r.Allocs,
					times(&r, nameGorillaFiles), times(&r, nameBareAppends), times(&r, nameBareFiles))
			}
		}
	}
	for _, op := range []operation{opRead, opWrite} {
		t.line("\n%s, nothing synced: %s", op, what[op.String()])
		t.line("%-28s %10s %9s %9s %8s %9s", "", "per second", "ns", "cpu ns", "allocs", "×gorilla")
		for _, r := range f.Requests {
			if r.Operation == op.String() {
				t.line("%-28s %10.0f %9.0f %9.0f %8.0f %9s", r.Subject, 1e9/r.NS, r.NS, r.CPU, r.Allocs, times(&r, nameGorillaFiles))
			}
		}
	}
	for _, c := range f.Crowds {
		t.fileCrowd(c)
	}
	for _, w := range f.Waits {
		t.waits(w)
	}
}

func (t table) fileCrowd(c fileCrowdResult) {
	t.line("\n%d sessions of %d bytes in files: %s", c.Records, valueSize, c.Engine)
	t.line("  filled in %s, closed in %s", short(c.Fill.Total), short(c.Close))
	for _, o := range c.Openings {
		t.line("  opened in %s (cpu %s; %s of it for code, %s), %s", short(o.Took), short(o.Processor), short(o.Code), o.From, o.What)
	}
	each := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/float64(c.Records)) }
	t.line("  %.1f MiB in use, %s bytes per session; %s bytes per session on the disk, %s allocated; after the load %s",
		float64(c.Memory)/(1<<20), each(c.Memory), each(c.Length), each(c.Allocated), each(c.Worn))
	t.latencies(namedLatency{"fill", c.Fill}, namedLatency{"load of writes", c.Load},
		namedLatency{"steps of the sweep beside it", c.Sweep}, namedLatency{"the same load, bare file", c.Bare},
		namedLatency{"the same load, no store", c.Noise})
	if c.Removed > 0 {
		t.line("  %d files were freed meanwhile", c.Removed)
	}
}

// times is the throughput of a row as a multiple of another subject's.
func times(r *row, of string) string {
	if ratio, ok := r.Ratios[of]; ok {
		return fmt.Sprintf("%.2f", 1/ratio)
	}
	return ""
}

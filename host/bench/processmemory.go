package main

import (
	"runtime"
	"runtime/debug"
)

// processMemory is what a process takes. All are bytes but Mappings.
type processMemory struct {
	Resident int64 `json:"resident"` // in the machine's memory, shared pages by halves (PSS)
	Heap     int64 `json:"heap"`     // of it, what lives on Go's heap
	Tables   int64 `json:"tables"`   // page tables, which Resident does not include
	Mappings int   `json:"mappings"`
}

// measureMemory gives back what nobody uses, and measures the rest. Where the system does
// not tell, there is only the heap.
func measureMemory() processMemory {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p := systemMemory()
	p.Heap = int64(m.HeapAlloc)
	if p.Resident == 0 {
		p.Resident = p.Heap
	}
	return p
}

func (p processMemory) minus(o processMemory) processMemory {
	return processMemory{p.Resident - o.Resident, p.Heap - o.Heap, p.Tables - o.Tables, p.Mappings - o.Mappings}
}

package main

import (
	"encoding/json"
	"os"
	"time"
)

// report is everything that a run found out. Ratios are medians over rounds,
// computed pair by pair; see README.md.
type report struct {
	Time     time.Time         `json:"time"`
	Quick    bool              `json:"quick"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Notes    map[string]string `json:"notes"`
	// FileNotes are the notes of the part files.
	FileNotes map[string]string `json:"file_notes,omitempty"`

	Requests []row           `json:"requests,omitempty"`
	Calls    []row           `json:"calls,omitempty"`
	Cores    []row           `json:"cores,omitempty"`
	Starts   []startResult   `json:"starts,omitempty"`
	Guests   *guestsResult   `json:"guests,omitempty"`
	Files    *filesResult    `json:"files,omitempty"`
	Crowd    []crowdResult   `json:"crowd,omitempty"`
	Tenants  *tenantsResult  `json:"tenants,omitempty"`
	Fairness *fairnessResult `json:"fairness,omitempty"`
	Network  *networkResult  `json:"network,omitempty"`
	Scale    []scaleRow      `json:"scale,omitempty"`
	Targets  []verdict       `json:"targets"`

	rounds []recorded
}

// row is one cell of the measurement.
type row struct {
	Subject   string  `json:"subject"`
	Operation string  `json:"operation"`
	Cores     int     `json:"cores"`
	NS        float64 `json:"ns"` // median of rounds
	Low       float64 `json:"ns_low"`
	High      float64 `json:"ns_high"` // quartiles
	CPU       float64 `json:"cpu_ns"`  // processor time; 0 if unknown
	Allocs    float64 `json:"allocs"`
	Bytes     float64 `json:"bytes"`

	// Ratios is the time of this subject divided by that of each of our subjects.
	// RatiosCPU is the same for processor time.
	Ratios    map[string]float64 `json:"ratios"`
	RatiosCPU map[string]float64 `json:"ratios_cpu"`
	// Scaling is the throughput of all cores divided by that of one.
	Scaling float64 `json:"scaling,omitempty"`
}

// results finds samples and compares them.
type results []samples

func (r results) find(subject, operation string, cores int) *samples {
	for i := range r {
		if s := &r[i]; s.Subject == subject && s.Operation == operation && s.Cores == cores {
			return s
		}
	}
	return nil
}

// rows condenses the samples, with the ratio to each of our own subjects.
func (r results) rows(ours ...string) []row {
	var rows []row
	for i := range r {
		s := &r[i]
		out := row{
			Subject: s.Subject, Operation: s.Operation, Cores: s.Cores,
			NS: median(s.ns), Low: quantile(s.ns, 0.25), High: quantile(s.ns, 0.75),
			CPU: median(s.cpu), Allocs: median(s.allocs), Bytes: median(s.bytes),
			Ratios: map[string]float64{}, RatiosCPU: map[string]float64{},
		}
		for _, name := range ours {
			if to := r.find(name, s.Operation, s.Cores); to != nil && s.Subject != nameControl {
				out.Ratios[name] = median(ratios(s.ns, to.ns))
				if median(to.cpu) > 0 {
					out.RatiosCPU[name] = median(ratios(s.cpu, to.cpu))
				}
			}
		}
		if one := r.find(s.Subject, s.Operation, 1); s.Cores > 1 && one != nil {
			out.Scaling = median(ratios(one.ns, s.ns))
		}
		rows = append(rows, out)
	}
	return rows
}

// cost is the ratio to one of our subjects by which a target is judged. It is the
// ratio of processor time, which others on the machine do not add to, or of
// wall-clock time if that is all there is.
func (r *row) cost(to string) float64 {
	if ratio, ok := r.RatiosCPU[to]; ok {
		return ratio
	}
	return r.Ratios[to]
}

// cpuOrClock is the time of an operation by which a target is judged.
func (r *row) cpuOrClock() float64 {
	if r.CPU > 0 {
		return r.CPU
	}
	return r.NS
}

// findRow returns nil if there is no such row.
func findRow(rows []row, subject, operation string, cores int) *row {
	for i := range rows {
		if r := &rows[i]; r.Subject == subject && r.Operation == operation && r.Cores == cores {
			return r
		}
	}
	return nil
}

// write stores the report as JSON.
func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

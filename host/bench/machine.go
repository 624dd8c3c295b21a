package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
)

// machine describes where the figures come from.
type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"` // GOMAXPROCS, unless a part says otherwise
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Go    string `json:"go"`

	// Collector and MemoryLimit are GOGC, -1 for off, and GOMEMLIMIT in bytes, 0 for
	// none. Every process of the run has them.
	Collector   int64 `json:"gogc"`
	MemoryLimit int64 `json:"gomemlimit"`
}

func thisMachine() machine {
	m := machine{CPU: cpuModel(), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	settings := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(settings)
	m.Collector = int64(settings[0].Value.Uint64()) // off is all ones
	if limit := settings[1].Value.Uint64(); limit < math.MaxInt64 {
		m.MemoryLimit = int64(limit)
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s/%s, %s, %s", m.CPU, m.Cores, m.OS, m.Arch, m.Go, m.memory())
}

func (m machine) memory() string {
	collector, limit := fmt.Sprintf("GOGC=%d", m.Collector), "no memory limit"
	if m.Collector < 0 {
		collector = "GOGC=off"
	}
	if m.MemoryLimit > 0 {
		limit = fmt.Sprintf("GOMEMLIMIT=%dMiB", m.MemoryLimit>>20)
	}
	return collector + ", " + limit
}

func cpuModel() string {
	var model string
	switch runtime.GOOS {
	case "linux":
		model = procModel()
	case "darwin":
		out, _ := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output()
		model = strings.TrimSpace(string(out))
	case "windows":
		model = os.Getenv("PROCESSOR_IDENTIFIER")
	}
	if model == "" {
		return "unknown processor"
	}
	return model
}

func procModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// versions returns the versions of the compared modules with which this program
// was built.
func versions() map[string]string {
	want := map[string]bool{"github.com/tetratelabs/wazero": true, moduleExtism: true, moduleBolt: true}
	for _, p := range append(peers(), filePeers(fileEngines)...) {
		if p.module != "" {
			want[p.module] = true
		}
	}
	for _, b := range networkPeers() {
		for _, p := range b.peers {
			if p.module != "" {
				want[p.module] = true
			}
		}
	}
	found := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return found
	}
	for _, dep := range info.Deps {
		if want[dep.Path] {
			found[dep.Path] = dep.Version
		}
	}
	return found
}

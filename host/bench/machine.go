package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// machine describes where the figures come from.
type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Go    string `json:"go"`
}

func thisMachine() machine {
	return machine{CPU: cpuModel(), Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", m.CPU, m.Cores, m.OS, m.Arch, m.Go)
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

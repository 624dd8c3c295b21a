package main

import (
	"fmt"
	"time"
)

// Targets of the engines that keep files.
const (
	targetUnsynced  = 20.0 // times gorilla's writes per second
	targetKeyfolder = 3.0
	targetSynced    = 1.3 // times as long as a bare append and its sync
	targetGroup     = 5.0 // times one writer's throughput, for dynfile; for keyfolder:
	targetGroupKeys = 4.0
	targetReads     = 2.0             // times gorilla's reads per second, for keyfolder
	targetFirstSave = 5 * time.Second // for ten thousand new sessions, for keyfolder
	targetOpen      = 3 * time.Second
	targetPause     = 10 * time.Millisecond
)

// judgeFiles gives a verdict on each target of the engines that keep files. These
// use wall-clock time, since they are about waiting for the disk.
func judgeFiles(f *filesResult, cores int, add judgement) {
	onDisk := f.Filesystem != filesystemMemory
	for _, c := range []struct {
		engine string
		want   float64
	}{{nameDynfile, targetUnsynced}, {nameKeyfolder, targetKeyfolder}} {
		if r := findRow(f.Records, c.engine, opUnsynced, 1); r != nil && onDisk {
			ratio := r.Ratios[nameGorillaFiles]
			add(1/ratio >= c.want, fmt.Sprintf("%s, not synced: at least %g times gorilla's writes", c.engine, c.want),
				"%.1f times, in processor time %.1f", 1/ratio, 1/r.cost(nameGorillaFiles))
		}
	}
	if r := findRow(f.Records, nameDynfile+oneShard, opSynced, 1); r != nil && onDisk {
		ratio := r.Ratios[nameBareAppends]
		add(ratio <= targetSynced, fmt.Sprintf("%s, one writer, each synced: within %g times of an append and its sync", nameDynfile, targetSynced),
			"%.2f times", ratio)
	}
	for _, c := range []struct {
		engine string
		want   float64
	}{{nameDynfile, targetGroup}, {nameKeyfolder, targetGroupKeys}} {
		many, one := findRow(f.Records, c.engine, opMany, cores), findRow(f.Records, c.engine, opSynced, 1)
		if many == nil || one == nil || !onDisk {
			continue
		}
		add(one.NS >= c.want*many.NS, fmt.Sprintf("%s, %d writers, each synced: at least %g times the throughput of one", c.engine, manyWriters, c.want),
			"%.1f times, %s times a bare loop's; with one shard %s", one.NS/many.NS, times(many, nameBareAppends),
			times(orEmpty(findRow(f.Records, c.engine+oneShard, opMany, cores)), nameBareAppends))
	}
	if r := findRow(f.Records, nameKeyfolder+", close", opFetch, 1); r != nil {
		add(1/r.Ratios[nameGorillaFiles] >= targetReads, fmt.Sprintf("%s: at least %g times gorilla's reads", nameKeyfolder, targetReads),
			"%.1f times, in processor time %.1f", 1/r.Ratios[nameGorillaFiles], 1/r.cost(nameGorillaFiles))
	}
	for _, w := range f.Waits {
		if w.Engine != nameKeyfolder || !onDisk {
			continue
		}
		add(w.perTenThousand() < targetFirstSave, fmt.Sprintf("%s: a first save under %v for ten thousand sessions", w.Engine, targetFirstSave), "%s", short(w.perTenThousand()))
		worst := max(w.AtFirst.Max, w.AtSaves.Max, w.AtSweep.Max)
		add(worst < targetPause, fmt.Sprintf("%s: no operation waits %v for a save or a sweep", w.Engine, targetPause),
			"%s of wall-clock time: %s beside the first save, %s beside others, %s beside sweeps, %s alone", short(worst),
			short(w.AtFirst.Max), short(w.AtSaves.Max), short(w.AtSweep.Max), short(w.Alone.Max))
	}
	for _, c := range f.Crowds {
		if c.Engine != nameDynfile || c.Records < targetCrowd {
			continue
		}
		for _, o := range c.Openings {
			add(o.Took < targetOpen, fmt.Sprintf("%s: %d sessions opened under %v, %s", c.Engine, c.Records, targetOpen, o.What),
				"%s, processor time %s", short(o.Took), short(o.Processor))
		}
		add(c.Load.Max < targetPause && c.Removed > 0, fmt.Sprintf("%s: worst operation while space is freed under %v", c.Engine, targetPause),
			"%s of wall-clock time; the same load over a bare file: %s, over nothing: %s; worst in processor time: %s, of a step of the sweep %s; %d files freed",
			short(c.Load.Max), short(c.Bare.Max), short(c.Noise.Max), short(c.Load.MaxProcessor), short(c.Sweep.MaxProcessor), c.Removed)
	}
}

func orEmpty(r *row) *row {
	if r == nil {
		return &row{}
	}
	return r
}

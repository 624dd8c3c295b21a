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
	targetGroup     = 5.0 // times the bare loop's throughput
	targetOpen      = 3 * time.Second
	targetPause     = 10 * time.Millisecond
)

// judgeFiles gives a verdict on each target of the engines that keep files. These
// use wall-clock time, since they are about waiting for the disk.
func judgeFiles(f *filesResult, cores int, add func(met bool, target, found string, args ...any)) {
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
	if r := findRow(f.Records, nameDynfile, opMany, cores); r != nil && onDisk {
		ratio := r.Ratios[nameBareAppends]
		add(1/ratio >= targetGroup, fmt.Sprintf("%s, %d writers, each synced: at least %g times the throughput of one that appends", nameDynfile, manyWriters, targetGroup),
			"%.1f times; with one shard %s", 1/ratio, times(orEmpty(findRow(f.Records, nameDynfile+oneShard, opMany, cores)), nameBareAppends))
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

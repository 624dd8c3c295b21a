//go:build !linux

package main

func systemMemory() processMemory { return processMemory{} }

package main

import (
	"os"
	"runtime"
	"runtime/pprof"
)

var kept [][]byte

//go:noinline
func keep(size int) { kept = append(kept, make([]byte, size)) }

//go:noinline
func drop(size int) []byte { return make([]byte, size) }

func main() {
	runtime.MemProfileRate = 1
	for i := 0; i < 50; i++ {
		keep(1000)
		_ = drop(500)
	}
	runtime.GC()
	pprof.WriteHeapProfile(os.Stdout)
}

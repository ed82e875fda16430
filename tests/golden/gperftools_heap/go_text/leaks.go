// Keeps 200 blocks of 512 bytes, half of them by a function that is inlined and half behind one that calls itself, and says so.
package main

import (
	"bytes"
	"os"
	"runtime"
	"runtime/pprof"
)

var kept [][]byte
var text bytes.Buffer

func keep() { kept = append(kept, make([]byte, 512)) }

//go:noinline
func deep(n int) {
	if n > 0 {
		deep(n - 1)
		return
	}
	kept = append(kept, make([]byte, 512))
}

func main() {
	runtime.MemProfileRate = 1
	for i := 0; i < 100; i++ {
		keep()
		deep(2)
		text.WriteString("a line of a log that is kept in memory\n")
	}
	pprof.Lookup("heap").WriteTo(os.Stdout, 1)
}

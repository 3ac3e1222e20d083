package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// demo is what a newcomer waits for, and what all its processes take.
func (b *bench) demo(ctx context.Context) (err error) {
	b.progress("demo")
	dir := filepath.Join(b.dir, "demo")
	defer func() {
		down, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, downErr := runHanse(down, b.hanse, "demo", "down", "--dir", dir)
		err = errors.Join(err, downErr)
	}()
	began := time.Now()
	if _, err := runHanse(ctx, b.hanse, "demo", "--detach", "--dir", dir); err != nil {
		return err
	}
	took := time.Since(began)
	total, pids := 0.0, processesOf(dir)
	for _, pid := range pids {
		n, err := pss(pid)
		if err != nil {
			return err
		}
		total += n
	}
	b.report.add(
		row{Group: "demo", Name: "hanse demo: application ready", Value: took.Seconds(), Unit: "s", Target: 15},
		row{Group: "demo", Name: "hanse demo: PSS of all processes", Value: total / 1024, Unit: "GiB", Target: 1.6, Detail: map[string]int{"processes": len(pids)}},
	)
	return nil
}

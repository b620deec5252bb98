package validate

import (
	"sync"
	"sync/atomic"
)

// pool runs jobs that may add more jobs, the newest first, so that a tree is walked depth first and few publication
// points are held in memory.
type pool struct {
	mu      sync.Mutex
	wake    sync.Cond
	jobs    []func()
	running int
}

func newPool() *pool {
	p := new(pool)
	p.wake.L = &p.mu
	return p
}

func (p *pool) add(job func()) {
	p.mu.Lock()
	p.jobs = append(p.jobs, job)
	p.mu.Unlock()
	p.wake.Signal()
}

// run works until no job is left and none is running.
func (p *pool) run(workers int) {
	var all sync.WaitGroup
	for range workers {
		all.Go(p.work)
	}
	all.Wait()
}

func (p *pool) work() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.jobs) == 0 {
			if p.running == 0 {
				p.wake.Broadcast()
				return
			}
			p.wake.Wait()
		}
		last := len(p.jobs) - 1
		job := p.jobs[last]
		p.jobs[last] = nil
		p.jobs = p.jobs[:last]
		p.running++
		p.mu.Unlock()
		job()
		p.mu.Lock()
		p.running--
	}
}

// spread calls do for each number below n. Few are done in turn; many are spread over the workers.
func spread(n, workers int, do func(i int)) {
	const few = 64
	if n <= few || workers == 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				end := int(next.Add(few))
				for i := end - few; i < min(end, n); i++ {
					do(i)
				}
				if end >= n {
					return
				}
			}
		})
	}
	all.Wait()
}

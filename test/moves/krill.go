package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"cadastre/test/internal/krill"
	"cadastre/test/internal/process"
)

const moverCA = "mover" // the name of Krill's CA

// delegate starts Krill, and has one of its CAs be that of the holder whose CA is elsewhere.
func (s *scene) delegate(ctx context.Context) (figures string, err error) {
	at := slices.IndexFunc(s.world.moves, func(m *move) bool { return m.krill })
	if at < 0 {
		return "", errors.New("nobody was chosen for it")
	}
	m := s.world.moves[at]
	if s.krill, err = krill.Start(ctx, s.rpHome, s.path("krill"), s.tls); err != nil {
		return "", err
	}
	if err := s.krill.Found(ctx, moverCA); err != nil {
		return "", err
	}
	s.mover = s.krill.CA(moverCA)
	request, err := s.file(s.mover.PublisherRequest(ctx))("publisher-request.xml")
	if err != nil {
		return "", err
	}
	response, err := s.file(s.krill.Registers(ctx, moverCA, request))("repository-response.xml")
	if err != nil {
		return "", err
	}
	if err := s.mover.Publishes(ctx, response); err != nil {
		return "", err
	}
	if request, err = s.file(s.mover.ChildRequest(ctx))("child-request.xml"); err != nil {
		return "", err
	}
	if response, err = s.file(s.h.ask(ctx, "children", "add", m.from, "--request", request))("parent-response.xml"); err != nil {
		return "", err
	}
	if err := s.mover.Joins(ctx, "before", response); err != nil {
		return "", err
	}
	err = process.Until(ctx, time.Minute, func() error {
		if held, err := s.mover.Holds(ctx); err != nil || held == "" {
			return errors.Join(err, errors.New("it holds nothing"))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var lines []string
	for _, v := range m.donor.vrps {
		lines = append(lines, v.String())
	}
	return fmt.Sprintf("%s, %d VRPs", m.from, len(lines)), s.mover.Authorises(ctx, lines...)
}

// follow has the CA in Krill take what its new parent offers it, once, and then ask again and again.
func (s *scene) follow(ctx context.Context, m *move) error {
	if m.acted {
		return s.mover.Asks(ctx)
	}
	offer, err := s.h.ask(ctx, "children", "response", m.to)
	var refused *process.Exit
	if errors.As(err, &refused) {
		return nil // the offer comes with the next step
	}
	path, err := s.file(offer, err)("offer.xml")
	if err != nil {
		return err
	}
	m.acted = true
	return s.mover.Joins(ctx, "after", path)
}

// file keeps what a call returns under the name that follows.
func (s *scene) file(text []byte, err error) func(name string) (string, error) {
	return func(name string) (string, error) {
		if err != nil {
			return "", err
		}
		path := s.path(name)
		return path, os.WriteFile(path, text, 0o600)
	}
}

package main

import "context"

// The parts that a program plays towards another. Krill and Cadastre play all of them, so that one scenario is another
// one with the programs exchanged.

// authority is a CA: it has a parent, publishes somewhere, and says what its resources may be used for.
type authority interface {
	// ChildRequest is its identity for a parent (RFC 8183, section 5.2.1), PublisherRequest for a publication server (section 5.2.3).
	ChildRequest(ctx context.Context) ([]byte, error)
	PublisherRequest(ctx context.Context) ([]byte, error)
	// Joins hangs it under the parent whose response is in the file. Publishes moves it to the server.
	Joins(ctx context.Context, parent, response string) error
	Publishes(ctx context.Context, response string) error
	// Leaves revokes what it has from the parent and forgets it.
	Leaves(ctx context.Context, parent string) error
	// Authorises adds VRPs, Ends removes them: lines of prefix,maxlength,ASn.
	Authorises(ctx context.Context, vrps ...string) error
	Ends(ctx context.Context, vrps ...string) error
	// Attests says which providers an AS has, in place of what was said before: lines of AS1=>AS2,AS3. Retracts ends that.
	Attests(ctx context.Context, vaps ...string) error
	Retracts(ctx context.Context, customer string) error
	// Asks has it ask its parents now rather than when it would by itself.
	Asks(ctx context.Context) error
	// Rolls begins a key roll, Activates has the new key take over from the old (RFC 6489, section 2).
	Rolls(ctx context.Context) error
	Activates(ctx context.Context) error
}

// parent certifies CAs of others.
type parent interface {
	// Adopts certifies a child for resources, and returns its parent_response. Grants gives it more of them, Takes takes some away.
	Adopts(ctx context.Context, child, resources, request string) ([]byte, error)
	Grants(ctx context.Context, child, resources string) error
	Takes(ctx context.Context, child, resources string) error
}

// server publishes for others.
type server interface {
	// Registers makes a CA a publisher, and returns the repository_response.
	Registers(ctx context.Context, publisher, request string) ([]byte, error)
}

// hang makes an authority a child, by the exchange of files that RFC 8183 describes.
func (s *scene) hang(ctx context.Context, a authority, under parent, as, called, resources string) error {
	request, err := s.keep(a.ChildRequest(ctx))(as + "-child-request")
	if err != nil {
		return err
	}
	response, err := s.keep(under.Adopts(ctx, as, resources, request))(as + "-parent-response")
	if err != nil {
		return err
	}
	return a.Joins(ctx, called, response)
}

// publish has an authority publish at a server.
func (s *scene) publish(ctx context.Context, a authority, at server, as string) error {
	request, err := s.keep(a.PublisherRequest(ctx))(as + "-publisher-request")
	if err != nil {
		return err
	}
	response, err := s.keep(at.Registers(ctx, as, request))(as + "-repository-response")
	if err != nil {
		return err
	}
	return a.Publishes(ctx, response)
}

// keep is keepSetup for what a call returns, under the name that follows.
func (s *scene) keep(xml []byte, err error) func(what string) (string, error) {
	return func(what string) (string, error) {
		if err != nil {
			return "", err
		}
		return s.keepSetup(what, xml)
	}
}

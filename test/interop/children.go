package main

import "context"

// krillBelowUs has one of Krill's CAs as our child: it is certified, grown, shrunk with and without its help, and gone.
func krillBelowUs(publishesWithUs bool) func(ctx context.Context, s *scene) error {
	return func(ctx context.Context, s *scene) error {
		k, h, want, err := s.begin(ctx)
		if err != nil {
			return err
		}
		const (
			name   = "kc"
			first  = "196.10.0.0/22,24,AS37100"
			sixth  = "2c0f:ea00::/32,48,AS37100"
			grown  = "196.10.32.0/20,20,AS37101"
			narrow = "196.10.4.0/24,24,AS37100"
			vap    = "AS37100=>AS3356,AS6453"
		)
		kc := k.CA(name)
		at := server(k)
		if publishesWithUs {
			at = h
		}
		err = s.steps(ctx,
			do("Krill's CA gets a place to publish", func(ctx context.Context) error {
				if err := k.Found(ctx, name); err != nil {
					return err
				}
				return s.publish(ctx, kc, at, name)
			}),
			do("it becomes our child, and has its certificate", func(ctx context.Context) error {
				if err := s.hang(ctx, kc, h, name, "cadastre", "196.10.0.0/20 2c0f:ea00::/32 AS37100"); err != nil {
					return err
				}
				return holding(ctx, kc, "196.10.0.0/20", "2c0f:ea00::/32")
			}),
			do("it makes ROAs", func(ctx context.Context) error { return kc.Authorises(ctx, first, sixth, narrow) }),
			s.seen("they are accepted", want.and(ours, first, sixth, narrow)),
			do("it says which providers its AS has", func(ctx context.Context) error { return kc.Attests(ctx, "AS37100=>AS3356") }),
			s.seen("the ASPA is accepted", want.and(ours, first, sixth, narrow, "AS37100=>AS3356")),
			do("it says that there is another", func(ctx context.Context) error { return kc.Attests(ctx, vap) }),
			s.seen("so it is seen", want.and(ours, first, sixth, narrow, vap)),
			do("we grow it, and at its next contact it has grown", func(ctx context.Context) error {
				if err := h.Grants(ctx, name, "196.10.32.0/20"); err != nil {
					return err
				}
				if err := kc.Asks(ctx); err != nil {
					return err
				}
				return holding(ctx, kc, "196.10.32.0/20")
			}),
			do("it makes a ROA in what is new, and ends one", func(ctx context.Context) error {
				if err := kc.Authorises(ctx, grown); err != nil {
					return err
				}
				return kc.Ends(ctx, narrow)
			}),
			s.seen("so it is seen", want.and(ours, first, sixth, grown, vap)),
			do("we shrink it, and it comes to shed", func(ctx context.Context) error {
				if err := h.Takes(ctx, name, "196.10.32.0/20"); err != nil {
					return err
				}
				return kc.Asks(ctx)
			}),
			s.seen("what rested on it is gone, and nothing else", want.and(ours, first, sixth, vap)),
			do("we shrink it again, and it does not come", func(ctx context.Context) error { return h.Takes(ctx, name, "2c0f:ea00::/32") }),
			s.seen("when its notice has passed its certificate is smaller", want.and(ours, first, vap)),
			do("it comes late, and sheds", func(ctx context.Context) error { return kc.Asks(ctx) }),
			do("it says no more which providers its AS has", func(ctx context.Context) error { return kc.Retracts(ctx, "AS37100") }),
			s.seen("so it is seen", want.and(ours, first)),
			do("it says so again", func(ctx context.Context) error { return kc.Attests(ctx, vap) }),
		)
		if err != nil {
			return err
		}
		if err := s.steps(ctx, s.agreed(want.and(ours, first, vap))...); err != nil {
			return err
		}
		if publishesWithUs {
			return s.steps(ctx,
				do("we revoke it", func(ctx context.Context) error { return h.decide(ctx, "children", "remove", name) }),
				s.seen("it is gone, and nothing else", want),
			)
		}
		return s.steps(ctx,
			do("it leaves, and has us revoke its certificate", func(ctx context.Context) error { return kc.Leaves(ctx, "cadastre") }),
			s.seen("it is gone, and nothing else", want),
		)
	}
}

// weBelowKrill has one of our CAs as a child of Krill's.
func weBelowKrill(publishesWithUs bool) func(ctx context.Context, s *scene) error {
	return func(ctx context.Context, s *scene) error {
		k, h, want, err := s.begin(ctx)
		if err != nil {
			return err
		}
		const (
			name  = "branch"
			first = "62.10.0.0/22,24,AS37150"
			sixth = "2a00:10::/32,48,AS37150"
			grown = "62.12.0.0/20,20,AS37151"
			vap   = "AS39150=>AS3356,AS6453"
		)
		branch := h.holder(name)
		err = s.steps(ctx,
			do("our CA gets a place to publish", func(ctx context.Context) error {
				if _, err := h.enrol(ctx, name); err != nil || publishesWithUs {
					return err
				}
				return s.publish(ctx, branch, k, name)
			}),
			do("it becomes a child of Krill's, and has its certificate", func(ctx context.Context) error {
				if err := s.hang(ctx, branch, k, name, "krill", "62.10.0.0/16 2a00:10::/32 AS39150"); err != nil {
					return err
				}
				return branch.holding(ctx, "62.10.0.0/16", "2a00:10::/32")
			}),
			do("it makes ROAs", func(ctx context.Context) error { return branch.Authorises(ctx, first, sixth) }),
			s.seen("they are accepted", want.and(krillAnchor, first, sixth)),
			do("it says which providers its AS has", func(ctx context.Context) error { return branch.Attests(ctx, "AS39150=>AS3356") }),
			s.seen("the ASPA is accepted", want.and(krillAnchor, first, sixth, "AS39150=>AS3356")),
			do("it says that there is another", func(ctx context.Context) error { return branch.Attests(ctx, vap) }),
			s.seen("so it is seen", want.and(krillAnchor, first, sixth, vap)),
			do("Krill grows it, and at its next contact it has grown", func(ctx context.Context) error {
				if err := k.Grants(ctx, name, "62.12.0.0/20"); err != nil {
					return err
				}
				if err := branch.Asks(ctx); err != nil {
					return err
				}
				return branch.holding(ctx, "62.12.0.0/20")
			}),
			do("it makes a ROA in what is new", func(ctx context.Context) error { return branch.Authorises(ctx, grown) }),
			s.seen("so it is seen", want.and(krillAnchor, first, sixth, grown, vap)),
			do("Krill shrinks it, and it sheds when it hears of it", func(ctx context.Context) error {
				if err := k.Takes(ctx, name, "62.12.0.0/20"); err != nil {
					return err
				}
				return branch.Asks(ctx)
			}),
			s.seen("what rested on it is gone, and nothing else", want.and(krillAnchor, first, sixth, vap)),
			do("it ends a ROA", func(ctx context.Context) error { return branch.Ends(ctx, sixth) }),
			s.seen("so it is seen", want.and(krillAnchor, first, vap)),
			do("it says no more which providers its AS has", func(ctx context.Context) error { return branch.Retracts(ctx, "AS39150") }),
			s.seen("so it is seen", want.and(krillAnchor, first)),
			do("it says so again", func(ctx context.Context) error { return branch.Attests(ctx, vap) }),
		)
		if err != nil {
			return err
		}
		if err := s.steps(ctx, s.agreed(want.and(krillAnchor, first, vap))...); err != nil {
			return err
		}
		return s.steps(ctx,
			do("it leaves, and has Krill revoke its certificate", func(ctx context.Context) error { return branch.Leaves(ctx, "krill") }),
			s.seen("it is gone, and nothing else", want),
		)
	}
}

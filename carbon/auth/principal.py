from carbon.domain.principal import Principal as Principal
